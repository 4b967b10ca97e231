import { findDatabaseError, SuiteError } from '@azora/db-core';
import type { Client } from 'pg';
import { hasJournal, JOURNAL_SCHEMA, readImports, setImportState } from './postgres/journal';
import { type JournaledStage, lockStatement, undoStatement } from './postgres/rollback-sql';
import { readRelations } from './postgres/target-table';
import { type ImportDatabase, inImportTransaction, type RunOptions, withImportSession } from './session';

const BATCH_ROWS = 5_000;
/** The most rows that a report names. */
const NAMED_ROWS = 100;

/** A row that a rollback left as it is. */
export interface KeptRow {
  readonly table: string;
  readonly key: readonly unknown[];
  readonly reason: string;
}

/** What a rollback did in one database. */
export interface RollbackReport {
  readonly deleted: number;
  readonly restored: number;
  /** Rows that somebody had deleted already. */
  readonly gone: number;
  readonly kept: number;
  /** The first rows that were kept. */
  readonly keptRows: readonly KeptRow[];
}

/**
 * Takes out of a database what an import brought, the last stage first. A rollback that was interrupted continues; one that kept
 * rows tries them again when it is repeated.
 * @throws {SuiteError} those of the session; the reason of the signal after an interruption
 */
export async function rollBackFrom(database: ImportDatabase, id: string, options: RunOptions): Promise<RollbackReport> {
  return withImportSession(database, async (client) => {
    const report = { deleted: 0, restored: 0, gone: 0 };
    const found = (await readImports(client)).find((it) => it.id === id);
    if (found === undefined) return { ...report, kept: 0, keptRows: [] };
    await setImportState(client, id, 'rolling back');
    await client.query(
      `UPDATE ${JOURNAL_SCHEMA}.imported_rows SET kept = NULL WHERE import_id = $1 AND kept IS NOT NULL`,
      [id],
    );
    for (const stage of await readStages(client, id)) {
      const part = await undoStage(client, id, stage, options);
      report.deleted += part.deleted;
      report.restored += part.restored;
      report.gone += part.gone;
    }
    const { rows } = await client.query<KeptRow & { readonly total: number }>(
      `SELECT relation AS table, imported_rows.key::jsonb AS key, kept AS reason, count(*) OVER ()::int AS total
       FROM ${JOURNAL_SCHEMA}.imported_rows JOIN ${JOURNAL_SCHEMA}.stages USING (import_id, stage)
       WHERE import_id = $1 AND kept IS NOT NULL ORDER BY stage, imported_rows.key LIMIT ${NAMED_ROWS}`,
      [id],
    );
    const keptRows = rows.map(({ table, key, reason }) => ({ table, key, reason }));
    await setImportState(client, id, 'rolled back');
    return { ...report, kept: rows[0]?.total ?? 0, keptRows };
  });
}

async function readStages(client: Client, id: string): Promise<readonly JournaledStage[]> {
  const { rows } = await client.query<JournaledStage>(
    `SELECT stage, name, relation, key, key_types AS "keyTypes", columns, types
     FROM ${JOURNAL_SCHEMA}.stages WHERE import_id = $1 ORDER BY stage DESC`,
    [id],
  );
  return rows;
}

async function undoStage(
  client: Client,
  id: string,
  stage: JournaledStage,
  { onProgress, signal }: RunOptions,
): Promise<Pick<RollbackReport, 'deleted' | 'restored' | 'gone'>> {
  const target = await readRelations(client, stage.relation);
  const lock = lockStatement(stage);
  const undo = undoStatement(stage, target);
  const total = { deleted: 0, restored: 0, gone: 0 };
  let [limit, conflicts, undone] = [BATCH_ROWS, 0, 0];
  for (;;) {
    signal?.throwIfAborted();
    const part = await undoRows(client, [lock, undo], [id, stage.stage, limit]);
    if (typeof part === 'string') {
      // Rows that exchange a unique value cannot return in one statement: each by itself, and those that cannot yet after the others.
      if (limit === 1) {
        await client.query(KEEP_NEXT, [id, stage.stage, part]);
        conflicts += 1;
      }
      limit = 1;
      continue;
    }
    total.deleted += part.deleted;
    total.restored += part.restored;
    total.gone += part.gone;
    undone += part.chosen;
    if (part.chosen > 0) {
      limit = Math.min(limit * 2, BATCH_ROWS);
      onProgress?.(`${stage.name}: ${(total.deleted + total.restored).toLocaleString('en')} rows undone`);
    } else if (conflicts > 0 && undone > 0) {
      await client.query(TRY_AGAIN, [id, stage.stage, `${CONFLICT}%`]);
      [limit, conflicts, undone] = [1, 0, 0];
    } else {
      return total;
    }
  }
}

const UNIQUE_VIOLATION = '23505';
const CONFLICT = 'another row has its earlier values';

/** Keeps the first row that the next statement would choose. */
const KEEP_NEXT = `UPDATE ${JOURNAL_SCHEMA}.imported_rows SET kept = $3 WHERE import_id = $1 AND stage = $2 AND key = (
  SELECT key FROM ${JOURNAL_SCHEMA}.imported_rows
  WHERE import_id = $1 AND stage = $2 AND kept IS NULL AND action <> '=' ORDER BY key LIMIT 1)`;
const TRY_AGAIN = `UPDATE ${JOURNAL_SCHEMA}.imported_rows SET kept = NULL WHERE import_id = $1 AND stage = $2 AND kept LIKE $3`;

interface UndonePart {
  readonly chosen: number;
  readonly deleted: number;
  readonly restored: number;
  readonly gone: number;
}

/** Undoes the next rows; the reason if none of them is undone because a unique value is taken. */
async function undoRows(
  client: Client,
  [lock, undo]: readonly [string, string],
  values: readonly [string, number, number],
): Promise<UndonePart | string> {
  try {
    return await inImportTransaction(client, async () => {
      await client.query(lock, [...values]);
      const { rows } = await client.query<UndonePart>(undo, [...values]);
      return rows[0] ?? { chosen: 0, deleted: 0, restored: 0, gone: 0 };
    });
  } catch (error) {
    const found = findDatabaseError(error);
    if (found?.sqlState !== UNIQUE_VIOLATION) throw error;
    return `${CONFLICT} (${found.constraint})`;
  }
}

/**
 * The import with this id in any of the databases.
 * @throws {SuiteError} `IMPORT.UNKNOWN_IMPORT`
 */
export async function findImport(databases: readonly ImportDatabase[], id: string) {
  const known = new Set<string>();
  for (const database of databases) {
    const imports = await withImportSession(database, async (client) =>
      (await hasJournal(client)) ? readImports(client) : [],
    );
    const found = imports.find((it) => it.id === id);
    if (found !== undefined) return found;
    for (const it of imports) known.add(it.id);
  }
  throw new SuiteError('IMPORT.UNKNOWN_IMPORT', `No import has the id ${id}`, {
    kind: 'usage',
    why: known.size === 0 ? 'Nothing was imported yet.' : `The newest ones are: ${[...known].slice(0, 5).join(', ')}.`,
    next: 'Run "npx azora-db import list" to see the imports',
    meta: { id },
  });
}
