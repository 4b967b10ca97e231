import type { Environment } from '../system/child-environment';
import { textOf } from './file';
import { type Bucket, filesLost, fileTooLarge, LARGEST_BYTES, openBucket, type S3Location } from './s3-bucket';
import { CHECKSUM_FILE, type Chunks, fileMissing, SET_ID, type SetWriter, type Storage } from './storage';

/** An unfinished set counts as abandoned when nothing was added to it for this long. */
const ABANDONED_AFTER_MS = 24 * 3_600_000;
const CONCURRENT_REQUESTS = 16;

/** Keeps backup sets in a bucket. */
export function s3Storage(location: S3Location, environment: Environment): Storage {
  const bucket = openBucket(location, environment);
  return {
    location: bucket.location,
    list: async () => (await findSets(bucket)).filter(({ isComplete }) => isComplete).map(({ set }) => set),
    begin: async (set) => {
      await removeAbandoned(bucket);
      return s3Writer(bucket, set);
    },
    read: async (set, file) => {
      const found = await bucket.get(`${set}/${file}`);
      if (found === undefined) throw fileMissing(set, file);
      return found;
    },
    readText: async (set, file) => {
      const found = await bucket.get(`${set}/${file}`);
      return found && textOf(found);
    },
    writeText: (set, file, text) => bucket.put(`${set}/${file}`, text),
    remove: (set) => removeFolder(bucket, set),
  };
}

/** Holds the manifest's checksum back until every other file is stored, because its presence makes the set complete. */
function s3Writer(bucket: Bucket, set: string): SetWriter {
  const written = new Map<string, number>();
  const running = new Set<Promise<void>>();
  let checksum: string | undefined;
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
      if (file === CHECKSUM_FILE) {
        checksum = await textOf(source);
        return;
      }
      const upload = bucket.upload(`${set}/${file}`, counted(file, source));
      running.add(upload);
      await upload.finally(() => running.delete(upload));
    },
    remove: async (service) => {
      for (const name of written.keys()) if (name.startsWith(`${set}/${service}/`)) written.delete(name);
      for await (const page of bucket.pages(`${set}/${service}`)) await bucket.remove(page.map(({ name }) => name));
    },
    finish: async () => {
      if (checksum === undefined) throw new Error(`the set ${set} has no ${CHECKSUM_FILE}`);
      await requireFiles(bucket, set, written);
      await bucket.put(`${set}/${CHECKSUM_FILE}`, checksum);
    },
    abandon: async () => {
      abandoned = true;
      // An upload that ends later would leave its file behind. Its failure belongs to the caller of write().
      await Promise.allSettled(running);
      await removeFolder(bucket, set);
    },
  };
}

/** Removes the checksum first: the remains of an interrupted removal are not a complete set. */
async function removeFolder(bucket: Bucket, set: string): Promise<void> {
  await bucket.remove([`${set}/${CHECKSUM_FILE}`]);
  for await (const page of bucket.pages(set)) await bucket.remove(page.map(({ name }) => name));
}

/** Fails when a lifecycle rule of the bucket, or another process, removed files from the set in the meantime. */
async function requireFiles(bucket: Bucket, set: string, written: ReadonlyMap<string, number>): Promise<void> {
  const missing = new Map(written);
  for await (const page of bucket.pages(set)) {
    for (const { name, bytes } of page) if (missing.get(name) === bytes) missing.delete(name);
  }
  const files = [...missing.keys()].map((name) => name.slice(set.length + 1));
  if (files.length > 0) throw filesLost(bucket.location, set, files);
}

interface FoundSet {
  readonly set: string;
  readonly isComplete: boolean;
}

/** Oldest first. */
async function findSets(bucket: Bucket): Promise<readonly FoundSet[]> {
  const sets = (await bucket.folders()).filter((name) => SET_ID.test(name)).sort();
  const found: FoundSet[] = [];
  for (let start = 0; start < sets.length; start += CONCURRENT_REQUESTS) {
    const some = sets.slice(start, start + CONCURRENT_REQUESTS);
    found.push(
      ...(await Promise.all(
        some.map(async (set) => ({ set, isComplete: await bucket.has(`${set}/${CHECKSUM_FILE}`) })),
      )),
    );
  }
  return found;
}

/** A bucket does not tell which process writes a set, so unfinished sets are kept for a day. */
async function removeAbandoned(bucket: Bucket): Promise<void> {
  const limit = Date.now() - ABANDONED_AFTER_MS;
  for (const { set, isComplete } of await findSets(bucket)) {
    if (!isComplete && (await newestChange(bucket, set)) < limit) await removeFolder(bucket, set);
  }
}

async function newestChange(bucket: Bucket, set: string): Promise<number> {
  let newest = 0;
  for await (const page of bucket.pages(set)) {
    newest = Math.max(newest, ...page.map(({ modified }) => modified.getTime()));
  }
  return newest;
}
