import { quoteIdentifier, quoteLiteral, SuiteError } from '@azora/db-core';
import type { ClientBase } from 'pg';
import type { Script } from '../migrations/files';
import type { Loss } from './effect';
import { effectsOf } from './effects';
import { parseScript } from './parse';
import { isWidening } from './widening';

/** What a file takes away from people, whether there is any or not. */
export async function lossesOf(script: Script): Promise<readonly Loss[]> {
  const effects = effectsOf(await parseScript(script)).flatMap((statement) => statement.effects);
  return effects.flatMap(({ loss }) => (loss === undefined ? [] : [loss]));
}

/** Those of the losses that would hit rows or values that are there; what cannot be looked at counts. */
export async function findLosses(client: ClientBase, losses: readonly Loss[]): Promise<readonly Loss[]> {
  const found: Loss[] = [];
  for (const loss of losses) if (await isHit(client, loss)) found.push(loss);
  return found;
}

/**
 * Stops a step that would lose data, in its transaction: the tables are locked first, so that no row comes in between the
 * look and the loss.
 * @throws {SuiteError} `MIGRATION.DATA_LOSS` naming tables and columns
 */
export async function refuseDataLoss(client: ClientBase, script: Script): Promise<void> {
  const losses = await lossesOf(script);
  for (const { table, what } of losses) {
    if (what !== 'objects' && (await exists(client, table)) && script.transactional)
      await client.query(`LOCK TABLE ${relation(table)} IN ACCESS EXCLUSIVE MODE`);
  }
  throwDataLoss(script.file, await findLosses(client, losses));
}

export function throwDataLoss(file: string, losses: readonly Loss[]): void {
  if (losses.length === 0) return;
  throw new SuiteError('MIGRATION.DATA_LOSS', `${file} would lose data`, {
    why: `It takes away ${losses.map(describeLoss).join(', ')}.`,
    next: 'Make a backup, then add --accept-data-loss if that is what you want',
    meta: { file, losses },
  });
}

/** A loss in words: `the rows of users`. */
export function describeLoss({ what, table, column }: Loss): string {
  if (what === 'column') return `the values of ${table}.${column}`;
  if (what === 'type') return `values of ${table}.${column} that the new type does not hold`;
  if (what === 'objects') return `all that depends on ${table}`;
  return `${what === 'table' ? 'the table' : 'rows of'} ${table}`;
}

async function isHit(client: ClientBase, { what, table, column, type }: Loss): Promise<boolean> {
  if (what === 'objects') return true;
  if (!(await exists(client, table))) return false;
  if (column === undefined) return asks(client, `EXISTS (SELECT FROM ${relation(table)})`);
  const now = await typeOf(client, table, column);
  if (now === undefined || (what === 'type' && type !== undefined && isWidening(now, type))) return false;
  return asks(client, `EXISTS (SELECT FROM ${relation(table)} WHERE ${quoteIdentifier(column)} IS NOT NULL)`);
}

async function exists(client: ClientBase, table: string): Promise<boolean> {
  return asks(client, `to_regclass(${quoteLiteral(relation(table))}) IS NOT NULL`);
}

async function asks(client: ClientBase, condition: string): Promise<boolean> {
  const { rows } = await client.query<{ yes: boolean }>(`SELECT ${condition} AS yes`);
  return rows[0]?.yes === true;
}

async function typeOf(client: ClientBase, table: string, column: string): Promise<string | undefined> {
  const { rows } = await client.query<{ type: string }>(
    `SELECT format_type(atttypid, atttypmod) AS type FROM pg_attribute
     WHERE attrelid = $1::regclass AND attname = $2 AND NOT attisdropped`,
    [relation(table), column],
  );
  return rows[0]?.type;
}

function relation(table: string): string {
  const parts = table.includes('.') ? table.split('.') : ['public', table];
  return parts.map(quoteIdentifier).join('.');
}
