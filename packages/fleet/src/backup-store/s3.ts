import { fileMissing } from './errors';
import { textOf } from './file';
import { type Bucket, openBucket } from './s3-bucket';
import { removeFolder, SEAL, s3Writer } from './s3-writer';
import { SET_ID } from './set-id';
import type { Storage } from './storage';

/** How long nothing may be added to an unfinished set before it counts as left behind. */
const LEFT_BEHIND_MS = 24 * 3_600_000;
/** Of questions at once. */
const CONCURRENCY = 16;

/**
 * Backup sets in a bucket: `s3://bucket/optional/prefix`.
 * @throws {SuiteError} `USAGE.BAD_LOCATION`
 */
export function s3Storage(url: string): Storage {
  const bucket = openBucket(url);
  return {
    location: bucket.location,
    list: async () => (await findSets(bucket)).filter(({ isSealed }) => isSealed).map(({ set }) => set),
    begin: async (set) => {
      await sweep(bucket);
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

interface FoundSet {
  readonly set: string;
  readonly isSealed: boolean;
}

/** Oldest first. */
async function findSets(bucket: Bucket): Promise<readonly FoundSet[]> {
  const sets = (await bucket.folders()).filter((name) => SET_ID.test(name)).sort();
  const found: FoundSet[] = [];
  for (let start = 0; start < sets.length; start += CONCURRENCY) {
    const some = sets.slice(start, start + CONCURRENCY);
    found.push(
      ...(await Promise.all(some.map(async (set) => ({ set, isSealed: await bucket.has(`${set}/${SEAL}`) })))),
    );
  }
  return found;
}

/** Removes what killed processes left. Nobody else knows whether one is still at work, so a day is waited. */
async function sweep(bucket: Bucket): Promise<void> {
  const limit = Date.now() - LEFT_BEHIND_MS;
  for (const { set, isSealed } of await findSets(bucket)) {
    if (!isSealed && (await newestOf(bucket, set)) < limit) await removeFolder(bucket, set);
  }
}

async function newestOf(bucket: Bucket, set: string): Promise<number> {
  let newest = 0;
  for await (const page of bucket.pages(set)) {
    newest = Math.max(newest, ...page.map(({ modified }) => modified.getTime()));
  }
  return newest;
}
