import type { Environment } from '../system/child-environment';
import { repeat } from '../system/heartbeat';
import { type Leftover, UNKNOWN_KEPT_MS } from '../system/leftovers';
import { textOf } from './file';
import { type Bucket, fileTooLarge, LARGEST_BYTES, LARGEST_COPY_BYTES, openBucket, type S3Location } from './s3-bucket';
import { CHECKSUM_FILE, type Chunks, fileMissing, filesLost, SET_ID, type SetWriter, type Storage } from './storage';

/** An upload shows only when it began, and a large file over a slow network takes days. */
const UPLOAD_KEPT_MS = 7 * 24 * 3_600_000;
const CONCURRENT_REQUESTS = 16;

/** In an unfinished set: written again and again while its backup runs, because a single upload may take longer than a day. */
const HEARTBEAT_FILE = 'running';
const HEARTBEAT_MS = 10 * 60_000;

/** Keeps backup sets in a bucket. */
export function s3Storage(location: S3Location, environment: Environment, heartbeatMs = HEARTBEAT_MS): Storage {
  const bucket = openBucket(location, environment);
  return {
    location: bucket.location,
    list: async () => (await findSets(bucket)).filter(({ isComplete }) => isComplete).map(({ set }) => set),
    begin: async (set) => {
      // A bucket that cannot be listed is an error now, because finish() lists the set.
      for await (const _ of bucket.pages(set)) break;
      await removeUnfinished(bucket);
      return s3Writer(bucket, set, heartbeatMs);
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
    unfinished: () => findUnfinished(bucket),
  };
}

/** Never fails: what killed backups left must not prevent a new one. "cleanup" reports what cannot be removed. */
async function removeUnfinished(bucket: Bucket): Promise<void> {
  const found = await findUnfinished(bucket).catch((): readonly Leftover[] => []);
  for (const { state, remove } of found) if (state === 'unused') await remove().catch(() => undefined);
}

/** Holds the manifest's checksum back until every other file is stored, because its presence makes the set complete. */
function s3Writer(bucket: Bucket, set: string, heartbeatMs: number): SetWriter {
  const heartbeat = `${set}/${HEARTBEAT_FILE}`;
  const rest = repeat(() => bucket.put(heartbeat, `${new Date().toISOString()}\n`), heartbeatMs);
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
    adopt: async (from, file, as) => {
      if (file.bytes > LARGEST_COPY_BYTES) return false;
      if (!(await bucket.copy(`${from}/${file.path}`, `${set}/${as}`))) throw fileMissing(from, file.path);
      written.set(`${set}/${as}`, file.bytes);
      return true;
    },
    remove: async (service) => {
      for (const name of written.keys()) if (name.startsWith(`${set}/${service}/`)) written.delete(name);
      for await (const page of bucket.pages(`${set}/${service}`)) await bucket.remove(page.map(({ name }) => name));
    },
    finish: async () => {
      if (checksum === undefined) throw new Error(`the set ${set} has no ${CHECKSUM_FILE}`);
      await rest();
      await requireFiles(bucket, set, written);
      await bucket.remove([heartbeat]);
      await bucket.put(`${set}/${CHECKSUM_FILE}`, checksum);
    },
    abandon: async () => {
      abandoned = true;
      await rest();
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

/** A bucket does not tell which process writes a set: what changed within a day may belong to a running backup. */
async function findUnfinished(bucket: Bucket): Promise<readonly Leftover[]> {
  const uploads = (await bucket.uploads()).filter(({ name }) => SET_ID.test(setOf(name)));
  const started = uploads.map((upload): Leftover => {
    const at = `${bucket.location}/${upload.name}`;
    const remnant = remnantOf(at, 'unfinished upload', upload.started, UPLOAD_KEPT_MS);
    return { ...remnant, bytes: async () => undefined, remove: () => bucket.abort(upload) };
  });
  const growing = uploads.filter((_, index) => started[index]?.state === 'unknown').map(({ name }) => setOf(name));
  const sets: Leftover[] = [];
  const fresh = new Set<string>();
  for (const { set, isComplete } of await findSets(bucket)) {
    if (isComplete) continue;
    const { bytes, changed } = await usageOf(bucket, set);
    const remnant = remnantOf(`${bucket.location}/${set}`, 'unfinished backup set', changed, UNKNOWN_KEPT_MS);
    if (remnant.state === 'unknown') fresh.add(set);
    sets.push({
      ...remnant,
      // A large file becomes visible only when its upload ends.
      ...(growing.includes(set) ? { state: 'unknown' } : {}),
      bytes: async () => bytes,
      remove: () => removeFolder(bucket, set),
    });
  }
  // The backup lives while its heartbeat does, however long an upload takes.
  return [
    ...started.map(
      (it, index): Leftover => (fresh.has(setOf(uploads[index]?.name ?? '')) ? { ...it, state: 'unknown' } : it),
    ),
    ...sets,
  ];
}

function setOf(name: string): string {
  return name.split('/')[0] ?? '';
}

function remnantOf(name: string, what: string, changed: Date, keptMs: number) {
  const state = Date.now() - changed.getTime() > keptMs ? 'unused' : 'unknown';
  return { kind: 'remnant', what, name, since: changed, state } as const;
}

async function usageOf(bucket: Bucket, set: string): Promise<{ readonly bytes: number; readonly changed: Date }> {
  let [newest, size] = [0, 0];
  for await (const page of bucket.pages(set)) {
    newest = Math.max(newest, ...page.map(({ modified }) => modified.getTime()));
    size += page.reduce((sum, { bytes }) => sum + bytes, 0);
  }
  return { bytes: size, changed: new Date(newest) };
}
