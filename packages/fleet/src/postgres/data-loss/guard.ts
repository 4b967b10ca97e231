import { randomBytes } from 'node:crypto';
import { SuiteError } from '@azora/db-core';
import { HISTORY, type Script } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import { effectsOf } from '../analysis/effects';
import { type ParsedStatement, parseScript } from '../analysis/parse';
import { findMeasuredLosses, type MeasuredLoss } from './compare';
import { areHarmless, UNQUALIFIED_TYPES } from './harmless';
import { lostHistory, readHistoryRows } from './history';
import { holdSequences } from './positions';
import { takeSnapshot } from './snapshot';
import { FIRST_USER_OID, readTables, shortName, sqlName, type Table } from './tables';

/**
 * Stops a step that would lose data: measures all data of the database before the script, in the step's transaction and under locks that
 * stop writers, and again before the commit; see {@link findMeasuredLosses}. The history of the other migrations must stay as it is. A
 * script that is proven harmless is not measured. One that runs outside of a transaction cannot be rolled back, so it must be proven
 * harmless.
 * @returns the check to run before the commit
 * @throws {SuiteError} `MIGRATION.DATA_LOSS` naming tables and columns with counts, from the check or at once
 */
export async function guardData(
  client: ClientBase,
  script: Script,
  migration: string,
): Promise<(() => Promise<void>) | undefined> {
  const statements = await parsed(script);
  const isProven = statements !== undefined && areHarmless(statements.map(({ node }) => node));
  if (isProven && !(await mayRunOtherCode(client))) return undefined;
  if (!script.transactional) throw unprovenScript(script.file);
  await lockTables(client, exclusivelyLocked(statements ?? []));
  await holdSequences(client);
  const history = await readHistoryRows(client, migration);
  const before = await takeSnapshot(client);
  return async () => {
    await fireDeferred(client);
    await endTemporary(client);
    const losses = [
      ...(await findMeasuredLosses(client, before)),
      ...lostHistory(history, await readHistoryRows(client, migration)),
    ];
    if (losses.length > 0) throw dataLoss(script.file, losses);
  };
}

/**
 * Deferred triggers write when they fire, which would otherwise be after the check. One may itself defer others: they fire until no
 * command of a trigger wrote a row, so that the marks are one command apart. The counters of PostgreSQL would not do: they can be off.
 */
async function fireDeferred(client: ClientBase): Promise<void> {
  // The script may have made a temporary table of any name that it can know.
  const commandsTable = `pg_temp.azora_commands_${randomBytes(8).toString('hex')}`;
  await client.query(`CREATE TABLE ${commandsTable} ()`);
  const mark = `INSERT INTO ${commandsTable} DEFAULT VALUES RETURNING cmin::text AS number`;
  const commands = async () => Number((await client.query<{ number: string }>(mark)).rows[0]?.number);
  let before = Number.NaN;
  for (let now = await commands(); now !== before + 1; ) {
    before = now;
    await client.query('SET CONSTRAINTS ALL IMMEDIATE');
    now = await commands();
  }
}

/**
 * A cursor WITH HOLD runs its query at the commit. The end of the session drops temporary objects, and with a temporary type the columns
 * that have it.
 */
async function endTemporary(client: ClientBase): Promise<void> {
  await client.query('CLOSE ALL; DISCARD TEMP');
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

/**
 * Objects that make a harmless statement run code of a user, or the change of the history table that follows, and the setting with which
 * the server reads a file as the parser does not. Functions of index operator classes and casts count by their language: a script may have
 * replaced the one of an extension.
 * The names are whole, because the session may be outside of a transaction, where no savepoint ends other settings.
 */
const OTHER_CODE = `
  SELECT 1 FROM pg_catalog.pg_event_trigger WHERE evtenabled <> 'D'
  UNION ALL
  SELECT 1 FROM pg_catalog.pg_proc AS called
  WHERE called.oid >= ${FIRST_USER_OID}
    AND prolang NOT IN (SELECT oid FROM pg_catalog.pg_language WHERE lanname IN ('internal', 'c'))
    AND called.oid IN (
      SELECT amproc FROM pg_catalog.pg_amproc UNION ALL SELECT castfunc FROM pg_catalog.pg_cast UNION ALL
      SELECT oprcode FROM pg_catalog.pg_operator JOIN pg_catalog.pg_amop ON amopopr = pg_operator.oid)
  UNION ALL
  SELECT 1 FROM pg_catalog.pg_class AS history WHERE history.oid = pg_catalog.to_regclass('${HISTORY}')
    AND (relkind <> 'r' OR relhastriggers OR relhasrules OR relrowsecurity OR relhassubclass OR relchecks > 0)
  UNION ALL
  SELECT 1 WHERE pg_catalog.current_setting('standard_conforming_strings') = 'off'
  LIMIT 1`;

async function mayRunOtherCode(client: ClientBase): Promise<boolean> {
  const { rows: found } = await client.query(OTHER_CODE);
  if (found.length > 0) return true;
  // Under the search path of the session: a domain of the same name has a default of its own.
  const meanings = [...UNQUALIFIED_TYPES.keys()].map(
    (name) => `pg_catalog.to_regtype('${name}')::pg_catalog.oid AS ${name}`,
  );
  const { rows } = await client.query<Readonly<Record<string, number | null>>>(`SELECT ${meanings.join(', ')}`);
  return [...UNQUALIFIED_TYPES].some(([name, oid]) => rows[0]?.[name] !== oid);
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
    case 'history':
      return `the history of ${loss.migrations.join(', ')}`;
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
