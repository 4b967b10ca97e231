import { quoteIdentifier } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import type { Reference } from '../schema/schema-model';
import type { Target } from './targets';

/** References in one column to rows that do not exist in the other service's database. */
export interface Orphans {
  readonly from: string;
  readonly to: string;
  readonly count: number;
  /** The first few ids. */
  readonly examples: readonly string[];
}

/** Distinct ids in one lookup: enough for few round trips, and few enough for memory. */
const BATCH_IDS = 10_000;
const EXAMPLES = 3;
const CURSOR = 'azora_references';

/**
 * Looks up every id of a reference in the database that owns it, in batches, and returns the references with orphans. It
 * reads the two databases one after the other, so rows written in between may appear as orphans until the next run.
 */
export async function findOrphans(
  references: readonly Reference[],
  targets: readonly Target[],
): Promise<readonly Orphans[]> {
  const byService = new Map(targets.map((target) => [target.service.name, target]));
  const found: Orphans[] = [];
  for (const reference of references) {
    const from = byService.get(reference.service);
    const to = byService.get(reference.target.service);
    // A reference is checked when both of its services are selected.
    if (from === undefined || to === undefined) continue;
    const orphans = await withClient(from.admin, (source) =>
      withClient(to.admin, (owner) => orphansOf(reference, source, owner)),
    );
    if (orphans.count > 0) found.push(orphans);
  }
  return found;
}

async function orphansOf(reference: Reference, source: ClientBase, owner: ClientBase): Promise<Orphans> {
  const examples: string[] = [];
  let count = 0;
  for await (const ids of distinctIds(reference, source)) {
    const { table, column } = reference.target;
    const { rows } = await owner.query<{ id: string }>(
      `SELECT id FROM unnest($1::text[]) AS asked (id)
       WHERE NOT EXISTS (SELECT 1 FROM ${quoteIdentifier(table)} WHERE ${quoteIdentifier(column)}::text = asked.id)`,
      [ids],
    );
    count += rows.length;
    examples.push(...rows.slice(0, EXAMPLES - examples.length).map((row) => row.id));
  }
  return {
    from: `${reference.service}.${reference.model}.${reference.field}`,
    to: `${reference.target.service}.${reference.target.model}.${reference.target.field}`,
    count,
    examples,
  };
}

async function* distinctIds(reference: Reference, client: ClientBase): AsyncGenerator<readonly string[]> {
  const column = quoteIdentifier(reference.column);
  const value = reference.isList ? `unnest(${column})` : column;
  await client.query('BEGIN READ ONLY');
  await client.query(`
    DECLARE ${CURSOR} NO SCROLL CURSOR FOR
    SELECT DISTINCT id FROM (SELECT ${value}::text AS id FROM ${quoteIdentifier(reference.table)}) AS ids
    WHERE id IS NOT NULL`);
  for (;;) {
    const { rows } = await client.query<{ id: string }>(`FETCH ${BATCH_IDS} FROM ${CURSOR}`);
    if (rows.length === 0) break;
    yield rows.map((row) => row.id);
  }
  await client.query('COMMIT');
}
