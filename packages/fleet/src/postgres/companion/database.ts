import { existsSync, fsyncSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { vector } from '@electric-sql/pglite-pgvector';
import { RESTORED } from './names';

/** PGlite's own, but fsync: it is turned off there, and the default way to sync the log is not carried out. */
const START_PARAMETERS = [...PGlite.defaultStartParams.filter((it) => it !== '-F'), '-c', 'wal_sync_method=fsync'];

/** Opens the data; new data gets its name when it is whole, so that a killed creation leaves nothing in the way. */
export async function openDatabase(directory: string, log: (line: string) => void): Promise<PGlite> {
  const [data, draft] = [path.join(directory, 'data'), path.join(directory, 'data.new')];
  // A restore was killed: after it had taken the old data away, the new one is put in place; before, the old one stays.
  const restored = `${data}${RESTORED}`;
  if (!existsSync(data) && existsSync(restored)) await rename(restored, data);
  await rm(restored, { recursive: true, force: true });
  if (!existsSync(data)) {
    log('creating the database');
    await rm(draft, { recursive: true, force: true });
    await (await PGlite.create(draft)).close();
    await rename(draft, data);
  }
  const database = await PGlite.create({ dataDir: data, extensions: { vector }, startParams: START_PARAMETERS });
  makeDurable(database);
  return database;
}

/** Its file system for Node has no fsync of its own: without one a commit is safe from kill -9, not from a power cut. */
function makeDurable(database: PGlite): void {
  const { NODEFS } = database.Module.FS.filesystems as { NODEFS: { stream_ops: { fsync?: unknown } } };
  NODEFS.stream_ops.fsync = (stream: { readonly nfd: number }): number => {
    fsyncSync(stream.nfd);
    return 0;
  };
}
