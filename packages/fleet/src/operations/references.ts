import { quoteIdentifier } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import pMap from 'p-map';
import type { ClientBase } from 'pg';
import { qualified } from '../postgres/dump/snapshot';
import type { Reference } from '../schema/schema-model';
import { CONCURRENCY } from './fleet';
import type { Target } from './targets';

/** References in one column to rows that do not exist in the other service's database. */
export interface Orphans {
  readonly from: string;
  readonly to: string;
  /** The number of distinct ids. */
  readonly count: number;
  /** The first few ids. */
  readonly examples: readonly string[];
}

export interface LookUpOptions {
  /** Once aborted, the next batch of ids throws the reason of the signal. */
  readonly signal?: AbortSignal | undefined;
}

/** Distinct ids in one lookup: enough for few round trips, and few enough for memory. */
const BATCH_IDS = 10_000;
const EXAMPLES = 3;
const CURSOR = 'azora_references';
/** The schema of every model. */
const SCHEMA = 'public';

/** The two columns of a reference as messages and formats name them: `mint.Wallet.userId` and `auth.User.id`. */
export function columnsOf({ service, model, field, target }: Reference): {
  readonly from: string;
  readonly to: string;
} {
  return { from: `${service}.${model}.${field}`, to: `${target.service}.${target.model}.${target.field}` };
}

/** The references with orphans, of those that {@link lookUpAll} looks up. */
export async function findOrphans(
  references: readonly Reference[],
  targets: readonly Target[],
): Promise<readonly Orphans[]> {
  return ((await lookUpAll(references, targets)) ?? []).filter(({ count }) => count > 0);
}

/**
 * Looks up every id of the references in the databases that own them. A reference is left out when only one of its services
 * is among the targets, or when one of its columns does not exist. Undefined after an interrupt.
 */
export async function lookUpAll(
  references: readonly Reference[],
  targets: readonly Target[],
  { signal }: LookUpOptions = {},
): Promise<readonly Orphans[] | undefined> {
  const names = new Set(targets.map(({ service }) => service.name));
  const checked = references.filter(({ service, target }) => names.has(service) && names.has(target.service));
  const needed = new Set(checked.flatMap(({ service, target }) => [service, target.service]));
  const found: Orphans[] = [];
  try {
    await withSessions(
      targets.filter(({ service }) => needed.has(service.name)),
      async (sessions) => {
        for (const reference of checked) {
          const [from, to] = [sessions.get(reference.service), sessions.get(reference.target.service)];
          if (from === undefined || to === undefined) continue;
          const orphans = await lookUpBetween(reference, from, to, { signal });
          if (orphans !== undefined) found.push(orphans);
        }
      },
    );
  } catch (error) {
    if (signal?.aborted && error === signal.reason) return undefined;
    throw error;
  }
  return found;
}

/** A session of the administrator in the database of a service. */
interface Session {
  readonly target: Target;
  readonly client: ClientBase;
}

/**
 * Opens one session for each database, a bounded number at a time, which all references share: a connection costs more than
 * most lookups.
 */
async function withSessions<Result>(
  targets: readonly Target[],
  work: (sessions: ReadonlyMap<string, Session>) => Promise<Result>,
): Promise<Result> {
  const open = new Map<string, Session>();
  const sessions: Promise<void>[] = [];
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const openSession = (target: Target) =>
    new Promise<void>((resolve, reject) => {
      const hold = (client: ClientBase) => {
        open.set(target.service.name, { target, client });
        resolve();
        return ended;
      };
      sessions.push(withClient(target.admin, hold).catch(reject));
    });
  try {
    await pMap(targets, openSession, { concurrency: CONCURRENCY });
    return await work(open);
  } finally {
    end();
    await Promise.all(sessions);
  }
}

/**
 * Looks up every distinct id of a reference in batches; undefined when one of the two columns does not exist. It reads the
 * two databases one after the other, so rows written in between may appear as orphans until the next run.
 */
export async function lookUp(
  reference: Reference,
  from: Target,
  to: Target,
  options: LookUpOptions = {},
): Promise<Orphans | undefined> {
  return withClient(from.admin, (source) =>
    withClient(to.admin, (owner) =>
      lookUpBetween(reference, { target: from, client: source }, { target: to, client: owner }, options),
    ),
  );
}

async function lookUpBetween(
  reference: Reference,
  { target, client: source }: Session,
  { client: owner }: Session,
  options: LookUpOptions,
): Promise<Orphans | undefined> {
  options.signal?.throwIfAborted();
  if (!(await hasBothColumns(reference, source, owner))) return undefined;
  await source.query('BEGIN READ ONLY');
  const ids = distinctIds(reference, source, options);
  if (target.server !== 'companion') {
    const orphans = await countOrphans(reference, ids, owner);
    await source.query('COMMIT');
    return orphans;
  }
  // A transaction occupies the one session of a companion. It must not wait for another companion, which may wait for it.
  const batches: (readonly string[])[] = [];
  for await (const batch of ids) batches.push(batch);
  await source.query('COMMIT');
  return countOrphans(reference, batches, owner);
}

/** {@link lookUp} in the state that two transactions read, which continue. */
export async function lookUpInside(
  reference: Reference,
  source: ClientBase,
  owner: ClientBase,
  options: LookUpOptions,
): Promise<Orphans | undefined> {
  if (!(await hasBothColumns(reference, source, owner))) return undefined;
  return countOrphans(reference, distinctIds(reference, source, options), owner);
}

/** False when a migration of the checkout that adds one of the columns is pending. A query would abort the transaction. */
async function hasBothColumns(reference: Reference, source: ClientBase, owner: ClientBase): Promise<boolean> {
  return (await hasColumn(source, reference)) && (await hasColumn(owner, reference.target));
}

async function hasColumn(
  client: ClientBase,
  { table, column }: { readonly table: string; readonly column: string },
): Promise<boolean> {
  const { rows } = await client.query(
    'SELECT FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = $2 AND NOT attisdropped',
    [qualified(SCHEMA, table), column],
  );
  return rows.length > 0;
}

async function countOrphans(
  reference: Reference,
  batches: AsyncIterable<readonly string[]> | Iterable<readonly string[]>,
  owner: ClientBase,
): Promise<Orphans> {
  const { table, column } = reference.target;
  const examples: string[] = [];
  let count = 0;
  for await (const ids of batches) {
    const { rows } = await owner.query<{ id: string }>(
      `SELECT id FROM unnest($1::text[]) AS asked (id)
       WHERE NOT EXISTS (SELECT FROM ${qualified(SCHEMA, table)} WHERE ${quoteIdentifier(column)}::text = asked.id)`,
      [ids],
    );
    count += rows.length;
    examples.push(...rows.slice(0, EXAMPLES - examples.length).map((row) => row.id));
  }
  return { ...columnsOf(reference), count, examples };
}

/** The distinct ids of the column, in the transaction of the client. */
async function* distinctIds(
  reference: Reference,
  client: ClientBase,
  { signal }: LookUpOptions,
): AsyncGenerator<readonly string[]> {
  const column = quoteIdentifier(reference.column);
  const value = reference.isList ? `unnest(${column})` : column;
  await client.query(`
    DECLARE ${CURSOR} NO SCROLL CURSOR FOR
    SELECT DISTINCT id FROM (SELECT ${value}::text AS id FROM ${qualified(SCHEMA, reference.table)}) AS ids
    WHERE id IS NOT NULL`);
  for (;;) {
    signal?.throwIfAborted();
    const { rows } = await client.query<{ id: string }>(`FETCH ${BATCH_IDS} FROM ${CURSOR}`);
    if (rows.length === 0) break;
    yield rows.map((row) => row.id);
  }
  await client.query(`CLOSE ${CURSOR}`);
}
