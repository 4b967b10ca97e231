import { quoteLiteral } from '@azora/db-core';
import { HISTORY } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import type { MeasuredLoss } from './compare';
import { query } from './query';

interface HistoryText {
  readonly name: string;
  readonly text: string;
}

/** The rows of the other migrations in the history, as text; none without the table. */
export async function readHistoryRows(client: ClientBase, migration: string): Promise<readonly HistoryText[]> {
  const [found] = await query<{ exists: boolean }>(client, `SELECT to_regclass('${HISTORY}') IS NOT NULL AS exists`);
  if (found?.exists !== true) return [];
  return query<HistoryText>(
    client,
    `SELECT migration_name::text AS name, concat(history) AS text FROM ${HISTORY} AS history
     WHERE migration_name IS DISTINCT FROM ${quoteLiteral(migration)}`,
  );
}

/** A row that is gone, other or new changes what the next run applies or reverts. */
export function lostHistory(before: readonly HistoryText[], after: readonly HistoryText[]): readonly MeasuredLoss[] {
  const [old, now] = [before, after].map((rows) => new Set(rows.map(({ text }) => text)));
  const changed = [...before.filter(({ text }) => !now?.has(text)), ...after.filter(({ text }) => !old?.has(text))];
  const migrations = [...new Set(changed.map(({ name }) => name))].sort();
  return migrations.length === 0 ? [] : [{ what: 'history', migrations }];
}
