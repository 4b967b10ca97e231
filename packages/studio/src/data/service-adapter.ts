import type { Adapter, AdapterError, Either, Table } from '@prisma/studio-core/data';
import { createStudioBFFClient, type StudioBFFClient } from '@prisma/studio-core/data/bff';
import { createPostgresAdapter } from '@prisma/studio-core/data/postgres-core';
import { withComparableColumns, withEstimatedCount } from './read-statements';

type Values = Record<string, unknown>;

interface ServiceAdapterOptions {
  readonly write: boolean;
  readonly fetch: typeof globalThis.fetch;
}

/** Studio's adapter for one service's database, over the studio server. */
export function createServiceAdapter(service: string, { write, fetch }: ServiceAdapterOptions): Adapter {
  const client = createStudioBFFClient({ url: `/api/services/${encodeURIComponent(service)}/query`, fetch });
  const execute: StudioBFFClient['execute'] = (query, options) => client.execute(withEstimatedCount(query), options);
  const adapter = createPostgresAdapter({ executor: { ...client, execute } });
  const query: Adapter['query'] = async (details, options) => {
    const [error, result] = await adapter.query({ ...details, table: withComparableColumns(details.table) }, options);
    if (error !== null) return [error];
    return [null, { ...result, rows: keyed(details.table, result.rows, details.pageIndex * details.pageSize) }];
  };
  return { ...adapter, query, ...(write ? editsOf(adapter) : refusedEdits()) };
}

/** Rows without a primary key are told apart by where they stand (a patch of the build reads this key). */
function keyed(table: Table, rows: Values[], first: number): Values[] {
  const hasKey = Object.values(table.columns).some(({ pkPosition }) => pkPosition !== null);
  return hasKey ? rows : rows.map((row, index) => ({ ...row, __ps_key: first + index }));
}

type Edits = Pick<Adapter, 'insert' | 'update' | 'updateMany' | 'delete'>;

function editsOf(adapter: Adapter): Edits {
  return {
    insert: (details, options) =>
      adapter.insert({ ...details, rows: details.rows.map((row) => asJson(details.table, row)) }, options),
    update: (details, options) =>
      adapter.update({ ...details, changes: asJson(details.table, details.changes) }, options),
    updateMany: async (details, options) => {
      if (adapter.updateMany === undefined) return refuse();
      const updates = details.updates.map((update) => ({ ...update, changes: asJson(update.table, update.changes) }));
      return adapter.updateMany({ ...details, updates }, options);
    },
    delete: (details, options) => adapter.delete(details, options),
  };
}

/** The server's driver would send an array for a json column as an array of PostgreSQL, which is another text. */
function asJson(table: Table, values: Values): Values {
  const sent = Object.entries(values).map(([name, value]) => {
    const isJson = table.columns[name]?.datatype.group === 'json';
    return [name, isJson && typeof value === 'object' && value !== null ? JSON.stringify(value) : value] as const;
  });
  return Object.fromEntries(sent);
}

function refuse<Result>(): Either<AdapterError, Result> {
  return [new Error('This studio only reads: it changes no row')];
}

function refusedEdits(): Edits {
  const refused = async <Result>(): Promise<Either<AdapterError, Result>> => refuse();
  return { insert: refused, update: refused, updateMany: refused, delete: refused };
}
