import type { Adapter, AdapterError, Column, Either, Table } from '@prisma/studio-core/data';
import { createStudioBFFClient, type StudioBFFClient } from '@prisma/studio-core/data/bff';
import { createPostgresAdapter } from '@prisma/studio-core/data/postgres-core';
import type { ApiErrorBody, FilledColumn } from '../api/answers';
import { studioFetch } from '../api/studio-fetch';
import { createEdits } from './edits';
import { countedPage, withEstimatedCount } from './row-count';
import { asTextColumns, type CheckValue, createValueCheck, withParsedDocuments } from './value-text';

type Values = Record<string, unknown>;

interface ServiceAdapterOptions {
  readonly write: boolean;
  readonly filled: readonly FilledColumn[];
  readonly fetch: typeof globalThis.fetch;
  /** After each page of rows: the number of all rows, if it is an estimate. */
  readonly onCounted?: (about: number | undefined) => void;
}

/** Studio's adapter, and the check of the values that a person types. */
export interface ServiceAdapter extends Adapter {
  readonly checkValue: CheckValue;
}

/** Creates Studio's adapter for one service's database, behind the studio server. */
export function createServiceAdapter(
  service: string,
  { write, filled, fetch, onCounted }: ServiceAdapterOptions,
): ServiceAdapter {
  const client = createStudioBFFClient({ url: `/api/services/${encodeURIComponent(service)}/query`, fetch });
  const execute: StudioBFFClient['execute'] = (query, options) => client.execute(withEstimatedCount(query), options);
  const adapter = createPostgresAdapter({ executor: { ...client, execute } });
  const catalog = createPostgresAdapter({ executor: { ...client, execute: withParsedDocuments(client.execute) } });
  const introspect: Adapter['introspect'] = async (options) => {
    const [error, result] = await catalog.introspect(options);
    return error === null ? [null, asTextColumns(result)] : [error];
  };
  const query: Adapter['query'] = async (details, options) => {
    const [error, result] = await adapter.query({ ...details, table: withComparableColumns(details.table) }, options);
    if (error !== null) return [error];
    const { result: page, isEstimate } = countedPage(details, result);
    onCounted?.(isEstimate ? Number(page.filteredRowCount) : undefined);
    return [null, { ...page, rows: keyed(details.table, page.rows, details.pageIndex * details.pageSize) }];
  };
  const checkValue = createValueCheck(client.execute);
  return {
    ...adapter,
    introspect,
    query,
    checkValue,
    ...(write ? createEdits(adapter, client, filled) : rejectedEdits()),
  };
}

const CUT_HEADER = 'x-studio-cut';

/**
 * Wraps `fetch` for Studio: reports whether the server left out rows, and turns an error answer into the format of
 * Studio's protocol, which is status 200 with the error in place of the rows.
 */
export function createStudioFetch(
  onCut: (isCut: boolean) => void,
  fetch: typeof globalThis.fetch = studioFetch,
): typeof globalThis.fetch {
  return async (input, init) => {
    try {
      const response = await fetch(input, init);
      if (response.ok) {
        if (isQuery(init)) onCut(response.headers.has(CUT_HEADER));
        return response;
      }
      const answer = (await response.json().catch(() => ({}))) as { readonly error?: Partial<ApiErrorBody> };
      return failed(textOf(answer.error) ?? `The studio server answered with status ${response.status}`);
    } catch (error) {
      if (init?.signal?.aborted === true) throw error; // Studio canceled the request itself.
      return failed('The studio server does not answer');
    }
  };
}

/** Not a check of SQL while it is typed, whose answer says nothing about the rows on the screen. */
function isQuery(init: RequestInit | undefined): boolean {
  const { procedure } = JSON.parse(String(init?.body ?? '{}')) as { readonly procedure?: string };
  return procedure === 'query';
}

/** What happened, why, and what helps. */
function textOf({ message, why, next }: Partial<ApiErrorBody> = {}): string | undefined {
  return message === undefined ? undefined : [message, why, next].filter((part) => part !== undefined).join('. ');
}

function failed(message: string): Response {
  return Response.json([{ name: 'Error', message }]);
}

/**
 * Describes numeric and uuid columns to Studio as strings when it reads rows. Otherwise it sorts numbers by
 * `cast(x as numeric)` and compares uuids as text, and no index serves either.
 */
function withComparableColumns(table: Table): Table {
  const columns = Object.entries(table.columns).map(([name, column]) => [name, asComparable(column)] as const);
  return { ...table, columns: Object.fromEntries(columns) };
}

function asComparable(column: Column): Column {
  const { datatype } = column;
  const isCast = !datatype.isArray && (datatype.group === 'numeric' || datatype.name === 'uuid');
  return isCast ? { ...column, datatype: { ...datatype, group: 'string' } } : column;
}

/** Identifies rows without a primary key by their position. A build patch of Studio reads this key. */
function keyed(table: Table, rows: Values[], first: number): Values[] {
  const hasKey = Object.values(table.columns).some(({ pkPosition }) => pkPosition !== null);
  return hasKey ? rows : rows.map((row, index) => ({ ...row, __ps_key: first + index }));
}

type Edits = Pick<Adapter, 'insert' | 'update' | 'updateMany' | 'delete'>;

function rejected<Result>(): Either<AdapterError, Result> {
  return [new Error('The studio is read-only for this service')];
}

function rejectedEdits(): Edits {
  const reject = async <Result>(): Promise<Either<AdapterError, Result>> => rejected();
  return { insert: reject, update: reject, updateMany: reject, delete: reject };
}
