import { createHash } from 'node:crypto';

/** Passes bytes on and keeps count of them. */
export class Meter {
  private readonly hash = createHash('sha256');
  private bytes = 0;

  async *count<Chunk extends Uint8Array>(chunks: AsyncIterable<Chunk>): AsyncGenerator<Chunk> {
    for await (const chunk of chunks) {
      this.hash.update(chunk);
      this.bytes += chunk.length;
      yield chunk;
    }
  }

  /** Once only, at the end. */
  result(): { readonly bytes: number; readonly sha256: string } {
    return { bytes: this.bytes, sha256: this.hash.digest('hex') };
  }
}
