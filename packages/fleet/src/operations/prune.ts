import { SuiteError } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import type { AnchorStore } from '../backup-store/audit-anchors';
import {
  type AuditFaults,
  anchorAuditLog,
  auditBatches,
  digestOf,
  findAuditFaults,
  forgetAnchorsBefore,
  newestGeneration,
} from '../postgres/prune/audit-log';
import { type PrunedRows, pruneTable, repeatBatches } from '../postgres/prune/batches';
import { countOverdue, type OverdueRows } from '../postgres/prune/overdue-rows';
import { findRetainedTables, type RetainedTable } from '../postgres/prune/retained-tables';
import type { ModelSchema } from '../schema/model';
import { countOf, eachService, type RunOptions, type ServiceRow } from './fleet';
import type { Target } from './targets';

/** A table with a retention, and what was found or deleted. */
export interface PrunedTable extends OverdueRows {
  readonly table: string;
  readonly days: number;
  /** Null in a dry run, and for a table that this command does not prune. */
  readonly deleted: number | null;
  /** Whether rows were left because others held their locks all the time. */
  readonly isBusy: boolean;
  /** Why this command does not prune the table; null if it does. */
  readonly why: string | null;
}

export interface PrunedService {
  readonly tables: readonly PrunedTable[];
  /** The damage of the audit log; null for a service without a chained one. Entries of a damaged log stay. */
  readonly audit: AuditFaults | null;
}

export interface PruneRequest {
  /** False for a dry run. */
  readonly yes: boolean;
  readonly modelsOf: (service: string) => readonly ModelSchema[];
  readonly auditDays: number | undefined;
  readonly anchors: AnchorStore;
}

/** Deletes the rows that are older than their retention in every database; without `yes`, only counts them. */
export async function pruneFleet(
  targets: readonly Target[],
  request: PruneRequest,
  options: RunOptions,
): Promise<readonly ServiceRow<PrunedService>[]> {
  return eachService(targets, options, (target, onProgress) =>
    withClient(target.admin, async (client) => {
      const { name } = target.service;
      const tables: PrunedTable[] = [];
      let audit: AuditFaults | null = null;
      for (const table of await findRetainedTables(client, request.modelsOf(name), request.auditDays)) {
        options.signal?.throwIfAborted();
        onProgress(table.table);
        const show = (deleted: number) => onProgress(`${table.table}: ${countOf(deleted, 'row')} deleted`);
        const prune = table.method.kind === 'audit' ? pruneAuditLog : pruneRows;
        const outcome: Outcome = await prune(client, name, table, request, options.signal, show);
        tables.push(outcome.table);
        audit = outcome.faults ?? audit;
      }
      return { data: { tables, audit }, detail: detailOf(tables, request.yes) };
    }),
  );
}

function detailOf(tables: readonly PrunedTable[], yes: boolean): string {
  const rows = tables.reduce((sum, it) => sum + (yes ? (it.deleted ?? 0) : it.rows), 0);
  return `${countOf(rows, 'row')} ${yes ? 'deleted' : 'overdue'}`;
}

/** The outcome for one table, and the damage of an audit log. */
interface Outcome {
  readonly table: PrunedTable;
  readonly faults?: AuditFaults;
}

async function pruneRows(
  client: Client,
  _service: string,
  table: RetainedTable,
  { yes }: PruneRequest,
  signal: AbortSignal | undefined,
  onProgress: (deleted: number) => void,
): Promise<Outcome> {
  const overdue = await countOverdue(client, table);
  const isPruned = yes && table.method.kind !== 'none' && overdue.rows > 0;
  const pruned = isPruned ? await pruneTable(client, table, signal, onProgress) : undefined;
  return { table: rowOf(table, overdue, yes, pruned) };
}

/** Whether the audit log of the service is damaged. */
export function isDamaged(row: ServiceRow<PrunedService>): boolean {
  return row.state === 'done' && (row.data.audit?.count ?? 0) > 0;
}

/** Whether rows were left because others held their locks. */
export function isBusy(row: ServiceRow<PrunedService>): boolean {
  return row.state === 'done' && row.data.tables.some((table) => table.isBusy);
}

function rowOf(table: RetainedTable, overdue: OverdueRows, yes: boolean, pruned?: PrunedRows): PrunedTable {
  const why = table.method.kind === 'none' ? table.method.why : null;
  const deleted = yes && why === null ? (pruned?.deleted ?? 0) : null;
  return { table: table.table, days: table.days, ...overdue, deleted, isBusy: pruned?.isBusy ?? false, why };
}

/**
 * Verifies the audit log, and then prunes it: the anchors are recorded in the database, their digest outside of it, and only then
 * entries are deleted. A run that is killed leaves entries, and never a chain that looks damaged.
 */
async function pruneAuditLog(
  client: Client,
  service: string,
  table: RetainedTable,
  { yes, anchors }: PruneRequest,
  signal: AbortSignal | undefined,
  onProgress: (deleted: number) => void,
): Promise<Outcome> {
  const overdue = await countOverdue(client, table);
  const generation = await trustedGeneration(client, service, anchors);
  const faults = await findAuditFaults(client, generation);
  if (!yes || faults.count > 0) return { table: rowOf(table, overdue, yes), faults };
  const made = await anchorAuditLog(client, (generation ?? 0) + 1, table.days);
  await anchors.write({ service, ...made });
  await forgetAnchorsBefore(client, made.generation);
  const pruned = await repeatBatches(auditBatches(client, made.generation), signal, onProgress);
  return { table: rowOf(table, overdue, yes, pruned), faults };
}

/**
 * The generation of anchors that the copy outside of the database confirms; undefined before the first pruning.
 * @throws {SuiteError} `AUDIT.NO_ANCHOR`, `AUDIT.ANCHORS_DIFFER`, `AUDIT.BAD_ANCHOR`, `AUDIT.ANCHORS_FAILED`
 */
async function trustedGeneration(client: Client, service: string, anchors: AnchorStore): Promise<number | undefined> {
  const outside = await anchors.newest(service);
  if (outside === undefined) {
    // A first run that was killed before it could write the copy leaves generation 1, with which nothing was deleted.
    if (((await newestGeneration(client)) ?? 0) > 1) throw anchorMissing(service, anchors.location);
    return undefined;
  }
  if ((await digestOf(client, outside.generation)) !== outside.digest) {
    throw anchorsDiffer(service, outside.generation, anchors.location);
  }
  return outside.generation;
}

function anchorMissing(service: string, location: string): SuiteError {
  return new SuiteError('AUDIT.NO_ANCHOR', `The anchor of the audit log of ${service} is missing`, {
    kind: 'finding',
    why: `The log was pruned before, but ${location} has no anchor of it.`,
    next: 'Set AZORA_AUDIT_ANCHORS to the place of the earlier runs, or put the files back there',
    meta: { service, location },
  });
}

function anchorsDiffer(service: string, generation: number, location: string): SuiteError {
  return new SuiteError(
    'AUDIT.ANCHORS_DIFFER',
    `The audit log of ${service} does not have the anchors that were recorded`,
    {
      kind: 'finding',
      why: `The digest of generation ${generation} in ${location} is not the digest of the table audit_anchors: it was changed, or an older backup was restored.`,
      next: 'Find out which; after a restore that you made, move the newer anchors of the service to another directory',
      meta: { service, generation, location },
    },
  );
}
