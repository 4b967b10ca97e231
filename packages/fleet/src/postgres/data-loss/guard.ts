import { SuiteError } from '@azora/db-core';
import type { Script } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import { effectsOf } from '../analysis/effects';
import { type ParsedStatement, parseScript } from '../analysis/parse';
import { findMeasuredLosses, type MeasuredLoss } from './compare';
import { isHarmless } from './harmless';
import { holdSequences } from './positions';
import { takeSnapshot } from './snapshot';
import { readTables, shortName, sqlName, type Table } from './tables';

/**
 * Stops a step that would lose data: measures all data of the database before the script, in the step's transaction and under locks that
 * stop writers, and again before the commit; see {@link findMeasuredLosses}. A script that is proven harmless is not measured. One that
 * runs outside of a transaction cannot be rolled back, so it must be proven harmless.
 * @returns the check to run before the commit
 * @throws {SuiteError} `MIGRATION.DATA_LOSS` naming tables and columns with counts, from the check or at once
 */
export async function guardData(client: ClientBase, script: Script): Promise<(() => Promise<void>) | undefined> {
  const statements = await parsed(script);
  const harmless = statements?.every(({ node }) => isHarmless(node)) === true && !(await hasEventTriggers(client));
  if (harmless) return undefined;
  if (!script.transactional) throw unprovenScript(script.file);
  await lockTables(client, exclusivelyLocked(statements ?? []));
  await holdSequences(client);
  const before = await takeSnapshot(client);
  return async () => {
    // Deferred triggers write when they fire, which would otherwise be after the check.
    await client.query('SET CONSTRAINTS ALL IMMEDIATE');
    const losses = await findMeasuredLosses(client, before);
    if (losses.length > 0) throw dataLoss(script.file, losses);
  };
}

/** Undefined for SQL that this parser does not know, such as the syntax of a newer PostgreSQL: it is measured. */
async function parsed(script: Script): Promise<readonly ParsedStatement[] | undefined> {
  try {
    return await parseScript(script);
  } catch (error) {
    if (error instanceof SuiteError && error.code === 'MIGRATION.SYNTAX') return undefined;
    throw error;
  }
}

async function hasEventTriggers(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query("SELECT FROM pg_catalog.pg_event_trigger WHERE evtenabled <> 'D' LIMIT 1");
  return rows.length > 0;
}

/** The tables on which the script takes the strongest lock. To ask for it at once avoids a deadlock with a session that reads. */
function exclusivelyLocked(statements: readonly ParsedStatement[]): ReadonlySet<string> {
  const effects = effectsOf(statements).flatMap((statement) => statement.effects);
  return new Set(effects.filter(({ lock }) => lock === 'ACCESS EXCLUSIVE').map(({ table }) => table));
}

/** Locks every table, in the order of the names. A table that was made meanwhile is found by the second look. */
async function lockTables(client: ClientBase, exclusive: ReadonlySet<string>): Promise<void> {
  const locked = new Set<string>();
  const lock = (table: Table) => {
    const mode = exclusive.has(shortName(table)) ? 'ACCESS EXCLUSIVE' : 'SHARE ROW EXCLUSIVE';
    return `LOCK TABLE ONLY ${sqlName(table)} IN ${mode} MODE`;
  };
  for (;;) {
    const open = (await readTables(client)).filter(({ oid, kind }) => kind !== 'f' && !locked.has(oid));
    if (open.length === 0) return;
    await client.query(open.map(lock).join('; '));
    for (const { oid } of open) locked.add(oid);
  }
}

function unprovenScript(file: string): SuiteError {
  return new SuiteError('MIGRATION.DATA_LOSS', `${file} could lose data`, {
    kind: 'usage',
    why: 'It runs outside of a transaction, so its effect cannot be measured and undone, and it contains statements that are not known to keep all data.',
    next: 'Make a backup, then add --accept-data-loss to run it',
    meta: { file, losses: [] },
  });
}

function dataLoss(file: string, losses: readonly MeasuredLoss[]): SuiteError {
  return new SuiteError('MIGRATION.DATA_LOSS', `${file} would lose data`, {
    kind: 'usage',
    why: `The file was run and rolled back. Lost: ${losses.map(describeMeasuredLoss).join('; ')}.`,
    next: 'Make a backup, then add --accept-data-loss to remove the data',
    meta: { file, losses },
  });
}

/** A loss in words: `values of users.nickname (5 → 0)`. */
export function describeMeasuredLoss(loss: MeasuredLoss): string {
  switch (loss.what) {
    case 'rows':
      return `rows of ${loss.table} (${fewer(loss)})`;
    case 'changed rows':
      return `rows of ${loss.table} (${changed(loss)})`;
    case 'values':
      return `values of ${loss.table}.${loss.column} (${fewer(loss)})`;
    case 'changed values':
      return `values of ${loss.table}.${loss.column} (${changed(loss)})`;
    case 'sequence':
      return `the position of the sequence ${loss.sequence}, which gave ${loss.last}`;
    case 'large objects':
      return `large objects (${fewer(loss)}, or changed)`;
    case 'unknown':
      return `unknown data of ${loss.table}, which cannot be measured: ${loss.reason}`;
  }
}

function fewer({ before, after }: { readonly before: number; readonly after: number }): string {
  return `${before.toLocaleString('en')} → ${after.toLocaleString('en')}`;
}

function changed({ before, changed: count }: { readonly before: number; readonly changed: number }): string {
  return `up to ${count.toLocaleString('en')} of ${before.toLocaleString('en')} changed`;
}
