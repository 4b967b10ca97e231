import path from 'node:path';
import { noSource } from '../errors';
import { openSqlite } from '../readers/sqlite';
import type { ImportSource, SkippedFile } from '../stage';
import { MEMORY, RATINGS } from './aragora-agents';
import { authStages } from './aragora-auth';
import { CYCLES, HISTORY } from './aragora-cycles';
import { eventStages } from './aragora-events';
import { SHARING } from './aragora-sharing';
import { type LegacyFile, listFiles } from './folder';
import { type LegacyDatabase, type LegacyStage, type LegacyTable, tableName, tableStage } from './legacy-table';

const DATABASE = /\.(db|sqlite3?)$/i;
/** Files that SQLite keeps beside a database, and that are read with it. */
const COMPANION = /\.(db|sqlite3?)-(wal|shm|journal)$/i;

/**
 * Copies the SQLite databases of a folder of Aragora and finds what they hold: people and organizations (auth), debates, agents,
 * memories, sharing and usage (debate). A table counts in whatever file it is.
 * @throws {SuiteError} `IMPORT.CANNOT_READ`, `IMPORT.CORRUPT_DATABASE`, `IMPORT.NO_SOURCE`, `IMPORT.SOURCE_CHANGED`
 */
export async function openAragora(folder: string): Promise<ImportSource> {
  const origin = path.resolve(folder);
  const files = await listFiles(origin);
  const databases: LegacyDatabase[] = [];
  const close = async () => {
    for (const { sqlite } of databases) await sqlite.close();
  };
  try {
    for (const file of files.filter(({ name }) => DATABASE.test(name))) {
      databases.push({ file, sqlite: await openSqlite(file.path, file.name) });
    }
    const found = stagesOf(databases).filter(({ stage }) => stage.sources.length > 0);
    if (found.length === 0) throw noSource(origin, 'SQLite databases of Aragora, such as aragora_users.db');
    const skipped = [...skippedFiles(files), ...databases.flatMap((database) => skippedParts(database, found))];
    return { kind: 'aragora', origin, stages: found.map(({ stage }) => stage), skipped, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** In an order in which a stage needs only the rows of earlier ones. */
function stagesOf(databases: readonly LegacyDatabase[]): readonly LegacyStage[] {
  const stages = (tables: readonly LegacyTable[]) => tables.map((table) => tableStage(databases, table));
  return [
    ...authStages(databases),
    ...stages(CYCLES),
    ...eventStages(databases),
    ...stages([...HISTORY, ...RATINGS, ...MEMORY, ...SHARING]),
  ];
}

function skippedFiles(files: readonly LegacyFile[]): readonly SkippedFile[] {
  return files
    .filter(({ name }) => !DATABASE.test(name) && !COMPANION.test(name))
    .map(({ name }) => ({ file: name, reason: 'No import reads files of this kind' }));
}

/** Why columns stay behind that the suite could hold. */
const LEFT_BEHIND: Readonly<Record<string, string>> = {
  'users.locked_until': 'It locks the legacy password, which nobody can sign in with any more',
  'users.failed_login_count': 'It counts failures of the legacy password, which nobody can sign in with any more',
  'users.lockout_reason': 'It is about the legacy password, which nobody can sign in with any more',
  'oauth_providers.access_token': 'It would have to be encrypted; the user signs in with the provider again',
  'oauth_providers.refresh_token': 'It would have to be encrypted; the user signs in with the provider again',
  schema_version: 'The version of the legacy schema',
};

/** The tables of a database that no stage reads, and the columns that none takes. */
function skippedParts(database: LegacyDatabase, stages: readonly LegacyStage[]): readonly SkippedFile[] {
  return [...database.sqlite.tables].flatMap(([table, columns]) => {
    const readers = stages.filter(({ from }) => from === table);
    const file = tableName(database, table);
    if (readers.length === 0) return [{ file, reason: LEFT_BEHIND[table] ?? 'The suite has no table for it' }];
    // A numbered row gets another number.
    const taken = new Set(['id', ...readers.flatMap(({ fields }) => fields)]);
    return columns
      .filter((column) => !taken.has(column))
      .map((column) => ({
        file: `${file}, column ${column}`,
        reason: LEFT_BEHIND[`${table}.${column}`] ?? 'The suite has no column for it',
      }));
  });
}
