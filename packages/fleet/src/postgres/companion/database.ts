import { fsyncSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { PGlite } from '@electric-sql/pglite';
import { pg_trgm } from '@electric-sql/pglite/contrib/pg_trgm';
import { vector } from '@electric-sql/pglite-pgvector';
import { dataOf } from './layout';

/**
 * PGlite's own parameters with fsync: PGlite turns it off, and does not carry out the default way to sync the log. Its
 * default of 128 MB of buffers would stay in memory, beside the operating system's own cache of the same files.
 */
const START_PARAMETERS = [
  ...PGlite.defaultStartParams.filter((it) => it !== '-F'),
  ...['-c', 'wal_sync_method=fsync', '-c', 'shared_buffers=16MB'],
];

/** Creates the data. It gets its name when it is complete, so a killed creation leaves nothing behind. */
export async function createData(directory: string): Promise<void> {
  const { data, draft } = dataOf(directory);
  await rm(draft, { recursive: true, force: true });
  await (await PGlite.create(draft)).close();
  await rename(draft, data);
}

/** Opens the data. */
export async function openDatabase(directory: string): Promise<PGlite> {
  const database = await PGlite.create({
    dataDir: dataOf(directory).data,
    extensions: { pg_trgm, vector },
    startParams: START_PARAMETERS,
  });
  makeDurable(database);
  return database;
}

/** PGlite's file system for Node has no fsync. Without it a commit survives kill -9 but not a power failure. */
function makeDurable(database: PGlite): void {
  const { NODEFS } = database.Module.FS.filesystems as { NODEFS: { stream_ops: { fsync?: unknown } } };
  NODEFS.stream_ops.fsync = (stream: { readonly nfd: number }): number => {
    fsyncSync(stream.nfd);
    return 0;
  };
}
