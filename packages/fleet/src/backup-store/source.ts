import type { Chunks } from './storage';

/** What fails in the source is not the storage's: a stream throws it too, or another error in its place. */
export async function storeSource(source: Chunks, store: (source: Chunks) => Promise<unknown>): Promise<void> {
  let broken: { readonly error: unknown } | undefined;
  async function* watched(): Chunks {
    try {
      yield* source;
    } catch (error) {
      broken = { error };
      throw error;
    }
  }
  await store(watched()).catch((error: unknown) => {
    throw broken === undefined ? error : broken.error;
  });
}
