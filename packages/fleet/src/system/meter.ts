import { createHash } from 'node:crypto';

/** Counts and hashes bytes while it passes them on. */
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

  /** The result, once, after the last chunk. */
  result(): { readonly bytes: number; readonly sha256: string } {
    return { bytes: this.bytes, sha256: this.hash.digest('hex') };
  }
}
