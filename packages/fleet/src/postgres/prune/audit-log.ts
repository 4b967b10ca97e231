import type { Client } from 'pg';
import { type Batch, runBatch } from './batches';

/** A damaged chain of an audit log. */
export interface AuditFault {
  /** The id of the user; empty for the entries about no known user. */
  readonly account: string;
  /** Where the damage begins. */
  readonly seq: number;
  readonly fault: AuditFaultKind;
}

export type AuditFaultKind =
  /** An entry was changed, removed, inserted or moved. */
  | 'changed'
  /** The newest entries were removed. */
  | 'cut'
  /** The record of where the chain begins and ends was removed, or the whole chain. */
  | 'missing'
  /** Entries were removed from the start, but not by a pruning. */
  | 'pruned'
  /** The chain is consistent, but it is not the one that was anchored. */
  | 'rewritten';

/** The faults that are listed; further ones are only counted. */
const MOST_FAULTS = 100;

export interface AuditFaults {
  readonly count: number;
  readonly faults: readonly AuditFault[];
}

/** Rehashes the audit log and compares it with the anchors of a generation; with itself only, if that is undefined. */
export async function findAuditFaults(client: Client, generation: number | undefined): Promise<AuditFaults> {
  const { rows } = await client.query<{ count: string; faults: readonly AuditFault[] }>(
    `SELECT count(*) AS count, coalesce(jsonb_agg(to_jsonb(it) - 'number' ORDER BY number) FILTER (WHERE number <= $2), '[]') AS faults
     FROM (SELECT *, row_number() OVER () AS number FROM audit_log_faults($1)) AS it`,
    [generation ?? null, MOST_FAULTS],
  );
  return { count: Number(rows[0]?.count ?? 0), faults: rows[0]?.faults ?? [] };
}

/** The newest generation of anchors in the database; undefined before the first pruning. */
export async function newestGeneration(client: Client): Promise<number | undefined> {
  const { rows } = await client.query<{ newest: string | null }>('SELECT max(generation) AS newest FROM audit_anchors');
  const newest = rows[0]?.newest ?? null;
  return newest === null ? undefined : Number(newest);
}

export async function digestOf(client: Client, generation: number): Promise<string> {
  const { rows } = await client.query<{ digest: string }>('SELECT audit_anchor_digest($1) AS digest', [generation]);
  return rows[0]?.digest ?? '';
}

/** The anchors of a new generation, as they are known outside of the database. */
export interface NewAnchors {
  readonly generation: number;
  readonly chains: number;
  readonly digest: string;
  readonly at: string;
}

/** Records the anchors of a generation. Nothing may be deleted before they are known outside of the database. */
export async function anchorAuditLog(client: Client, generation: number, days: number): Promise<NewAnchors> {
  const { rows } = await client.query<{ chains: string; at: string }>(
    `SELECT chains, to_jsonb(database_time()) #>> '{}' AS at FROM anchor_audit_log($1, $2 * interval '1 day')`,
    [generation, days],
  );
  const [made] = rows;
  if (made === undefined) throw new Error('anchor_audit_log returned no row');
  return { generation, chains: Number(made.chains), digest: await digestOf(client, generation), at: made.at };
}

/** Removes the anchors that a newer generation replaces. */
export async function forgetAnchorsBefore(client: Client, generation: number): Promise<void> {
  await client.query('DELETE FROM audit_anchors WHERE generation < $1', [generation]);
}

/** A batch of audit entries that the anchors of the generation allow to prune. */
export function auditBatches(client: Client, generation: number): (rows: number) => Promise<Batch> {
  return async (rows) => {
    const text = `SELECT prune_audit_log(${generation}::bigint, ${rows}) AS deleted`;
    const { deleted } = await runBatch<{ deleted: number | null }>(client, text, rows);
    return { deleted: deleted ?? undefined };
  };
}
