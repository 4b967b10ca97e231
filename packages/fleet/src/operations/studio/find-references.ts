import { SuiteError } from '@azora/db-core';
import { type ColumnName, countReferences, findCandidates } from '../../postgres/studio/find-references';
import { references } from '../../schema/schema-model';
import { eachService } from '../fleet';
import { hiddenIn, type StudioContext } from './context';
import { type ReadError, readErrorOf, withReader } from './reader';

/** Longer than other pages wait: a person started the search, and not every referring column has an index. */
const SEARCH_TIMEOUT_MS = 15_000;

/** A value of one column, as text. */
export interface ReferenceSearch extends ColumnName {
  readonly service: string;
  readonly value: string;
}

/** A column that holds the value, and the number of its rows that do, counted up to 1,001. */
export interface ReferringColumn extends ColumnName {
  readonly service: string;
  readonly rows: number;
}

export interface FoundReferences {
  readonly references: readonly ReferringColumn[];
  /** Services that could not be searched, so that references may be missing. */
  readonly errors: readonly (ReadError & { readonly service: string })[];
}

/**
 * Finds the columns that hold a value: columns of any service that refer to the given column or that it refers to, and
 * columns that a foreign key connects to it. Hidden columns are neither searched nor searched for.
 * @throws {SuiteError} `STUDIO.UNKNOWN_COLUMN`
 */
export async function findReferences(context: StudioContext, search: ReferenceSearch): Promise<FoundReferences> {
  requireColumn(context, search);
  const isHidden = hiddenIn(context);
  if (isHidden(search.service, search.table, search.column)) return { references: [], errors: [] };
  const asked = connectedColumns(context, search);
  const targets = context.targets.filter(({ service: { name } }) => asked.has(name) || name === search.service);
  const rows = await eachService(targets, {}, async (target) => {
    const service = target.service.name;
    const key = service === search.service ? search : undefined;
    const found = await withReader(
      target,
      async (client) => {
        const candidates = await findCandidates(client, asked.get(service) ?? [], key);
        const visible = candidates.filter(({ table, column }) => !isHidden(service, table, column));
        return countReferences(client, visible, search.value);
      },
      SEARCH_TIMEOUT_MS,
    );
    return { data: found.filter((column) => column.rows > 0), detail: '' };
  });
  return {
    references: rows.flatMap((row) =>
      row.state === 'done' ? row.data.map((column) => ({ service: row.service, ...column })) : [],
    ),
    errors: rows.flatMap((row) =>
      row.state === 'failed' ? [{ service: row.service, ...readErrorOf(row.error) }] : [],
    ),
  };
}

function requireColumn({ schemaModel, targets }: StudioContext, { service, table, column }: ReferenceSearch): void {
  const models = schemaModel.services.find(({ name }) => name === service)?.models;
  const isShown = targets.some((target) => target.service.name === service);
  if (isShown && models?.some((it) => it.table === table && it.columns.some(({ name }) => name === column))) return;
  throw new SuiteError('STUDIO.UNKNOWN_COLUMN', 'The column does not exist', {
    kind: 'usage',
    why: `No schema of the services shown has a column ${service}.${table}.${column}.`,
    next: 'Check the names of the table and the column on the Models page',
    meta: { service, table, column },
  });
}

/** By service: the columns that refer to the column, and the columns that it refers to. */
function connectedColumns(
  { schemaModel }: StudioContext,
  { service, table, column }: ReferenceSearch,
): ReadonlyMap<string, readonly ColumnName[]> {
  const isSearched = (it: ColumnName & { readonly service: string }) =>
    it.service === service && it.table === table && it.column === column;
  const ends = references(schemaModel).flatMap((reference) => [
    ...(isSearched(reference.target) ? [reference] : []),
    ...(isSearched(reference) ? [reference.target] : []),
  ]);
  const columns = new Map<string, ColumnName[]>();
  for (const end of ends) {
    columns.set(end.service, [...(columns.get(end.service) ?? []), { table: end.table, column: end.column }]);
  }
  return columns;
}
