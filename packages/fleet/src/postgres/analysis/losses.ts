import { quoteIdentifier, SuiteError } from '@azora/db-core';
import type { Script } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import type { Loss } from './effect';
import { effectsOf } from './effects';
import { parseScript } from './parse';
import { isWidening } from './widening';

/** What a file takes away from people, whether there is any or not. */
export async function lossesOf(script: Script): Promise<readonly Loss[]> {
  const effects = effectsOf(await parseScript(script)).flatMap((statement) => statement.effects);
  return effects.flatMap(({ loss }) => (loss === undefined ? [] : [loss]));
}

/** Those of the losses that would hit rows or values that are there; what cannot be looked at counts. Two questions in all. */
export async function findLosses(client: ClientBase, losses: readonly Loss[]): Promise<readonly Loss[]> {
  if (losses.length === 0) return [];
  const types = await readTypes(client, losses);
  const asked = losses.map((loss, at) => conditionOf(loss, types[at] ?? null));
  const { rows } = await client.query<{ hit: boolean[] }>(`SELECT ARRAY[${asked.join(', ')}] AS hit`);
  return losses.filter((_, at) => rows[0]?.hit[at] === true);
}

/**
 * Stops a step that would lose data, in its transaction: the tables are locked first, all at once and by name, so that no
 * row comes in between the look and the loss.
 * @throws {SuiteError} `MIGRATION.DATA_LOSS` naming tables and columns
 */
export async function refuseDataLoss(client: ClientBase, script: Script): Promise<void> {
  const losses = await lossesOf(script);
  const types = await readTypes(client, losses);
  const there = losses.flatMap(({ table }, at) => (types[at] == null ? [] : [relation(table)]));
  if (there.length > 0 && script.transactional)
    await client.query(`LOCK TABLE ${[...new Set(there)].sort().join(', ')} IN ACCESS EXCLUSIVE MODE`);
  throwDataLoss(script.file, await findLosses(client, losses));
}

export function throwDataLoss(file: string, losses: readonly Loss[]): void {
  if (losses.length === 0) return;
  throw new SuiteError('MIGRATION.DATA_LOSS', `${file} would lose data`, {
    kind: 'usage',
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

/**
 * Of each loss the type of its column, or an empty text for a table as a whole; null where there is no such table or
 * column, or what goes is no table.
 */
async function readTypes(client: ClientBase, losses: readonly Loss[]): Promise<readonly (string | null)[]> {
  const { rows } = await client.query<{ type: string | null }>(
    `SELECT CASE WHEN name IS NULL THEN (SELECT '' FROM pg_class WHERE oid = to_regclass(of) AND relkind IN ('r', 'p'))
              ELSE (SELECT format_type(atttypid, atttypmod) FROM pg_attribute
                    WHERE attrelid = to_regclass(of) AND attname = name AND NOT attisdropped) END AS type
     FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked(of, name, at) ORDER BY at`,
    [losses.map(({ table }) => relation(table)), losses.map(({ column }) => column ?? null)],
  );
  return rows.map(({ type }) => type);
}

function conditionOf({ what, table, column, type }: Loss, now: string | null): string {
  if (what === 'objects') return 'true';
  if (now === null || (what === 'type' && type !== undefined && isWidening(now, type))) return 'false';
  const values = column === undefined ? '' : ` WHERE ${quoteIdentifier(column)} IS NOT NULL`;
  return `EXISTS (SELECT FROM ${relation(table)}${values})`;
}

function relation(table: string): string {
  const parts = table.includes('.') ? table.split('.') : ['public', table];
  return parts.map(quoteIdentifier).join('.');
}
