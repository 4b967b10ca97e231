import { textOf } from './file';
import { type Bucket, LARGEST_BYTES } from './s3-bucket';
import { filesLost, fileTooLarge } from './s3-errors';
import type { Chunks, SetWriter } from './storage';

/** A set is whole when it is there: written last, removed first. */
export const SEAL = 'manifest.seal';

/** Writes a set, and its seal when all else is there. */
export function s3Writer(bucket: Bucket, set: string): SetWriter {
  const written = new Map<string, number>();
  const running = new Set<Promise<void>>();
  let seal: string | undefined;
  let abandoned = false;

  async function* counted(file: string, source: Chunks): Chunks {
    let bytes = 0;
    for await (const chunk of source) {
      if (abandoned) throw new Error(`the set ${set} was abandoned`);
      bytes += chunk.length;
      if (bytes > LARGEST_BYTES) throw fileTooLarge(bucket.location, file, LARGEST_BYTES);
      yield chunk;
    }
    written.set(`${set}/${file}`, bytes);
  }

  return {
    write: async (file, source) => {
      if (file === SEAL) {
        seal = await textOf(source);
        return;
      }
      const upload = bucket.upload(`${set}/${file}`, counted(file, source));
      running.add(upload);
      await upload.finally(() => running.delete(upload));
    },
    finish: async () => {
      if (seal === undefined) throw new Error(`the set ${set} has no ${SEAL}`);
      await requireFiles(bucket, set, written);
      await bucket.put(`${set}/${SEAL}`, seal);
    },
    abandon: async () => {
      abandoned = true;
      // An upload that ends later would leave its file behind.
      await Promise.allSettled(running);
      await removeFolder(bucket, set);
    },
  };
}

/** The seal first: what is left of a removal that was cut off is no set. */
export async function removeFolder(bucket: Bucket, set: string): Promise<void> {
  await bucket.remove([`${set}/${SEAL}`]);
  for await (const page of bucket.pages(set)) await bucket.remove(page.map(({ name }) => name));
}

/** A sealed set must not lack what a rule of the bucket, or another's clean-up, removed from it in the meantime. */
async function requireFiles(bucket: Bucket, set: string, written: ReadonlyMap<string, number>): Promise<void> {
  const missing = new Map(written);
  for await (const page of bucket.pages(set)) {
    for (const { name, bytes } of page) if (missing.get(name) === bytes) missing.delete(name);
  }
  const files = [...missing.keys()].map((name) => name.slice(set.length + 1));
  if (files.length > 0) throw filesLost(bucket.location, set, files);
}
