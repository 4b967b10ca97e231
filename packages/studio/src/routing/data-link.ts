/** What the address of the data page contains: Studio keeps it in the hash. */
export interface DataPlace {
  readonly schema: string | undefined;
  readonly table: string | undefined;
  /** The first `column = value` of the filter. */
  readonly equals: { readonly column: string; readonly value: string } | undefined;
}

interface DataTarget {
  readonly service: string;
  readonly table?: string;
  readonly equals?: { readonly column: string; readonly value: string };
}

/** Returns the address of a service, of one of its tables, or of the table's rows with a value in a column. */
export function dataLink({ service, table, equals }: DataTarget): string {
  const place = new URLSearchParams({ view: 'table', schema: service });
  if (table !== undefined) place.set('table', table);
  if (equals !== undefined) place.set('filter', JSON.stringify(filterOf(equals)));
  return `/data#${place.toString().replaceAll('+', '%20')}`;
}

function filterOf({ column, value }: { readonly column: string; readonly value: string }): object {
  const filter = { kind: 'ColumnFilter', id: 'where', column, operator: '=', value, after: 'and' };
  return { kind: 'FilterGroup', id: 'rows', after: 'and', filters: [filter] };
}

/** Reads a hash that `dataLink` or Studio wrote. */
export function readDataPlace(hash: string): DataPlace {
  const place = new URLSearchParams(hash.replace(/^#/, ''));
  return {
    schema: place.get('schema') ?? undefined,
    table: place.get('table') ?? undefined,
    equals: equalsOf(place.get('filter')),
  };
}

/** Whether the hash contains a filter that is SQL. A link must not run the SQL of its author. */
export function hasSqlFilter(hash: string): boolean {
  const filter = new URLSearchParams(hash.replace(/^#/, '')).get('filter');
  if (filter === null) return false;
  try {
    return !comparesColumns(JSON.parse(filter));
  } catch {
    return true;
  }
}

function comparesColumns(filter: unknown): boolean {
  if (typeof filter !== 'object' || filter === null || !('kind' in filter)) return false;
  if (filter.kind === 'ColumnFilter') return true;
  const filters = filter.kind === 'FilterGroup' && 'filters' in filter ? filter.filters : undefined;
  return Array.isArray(filters) && filters.every(comparesColumns);
}

interface FilterText {
  readonly filters?: readonly {
    readonly kind?: string;
    readonly operator?: string;
    readonly column?: string;
    readonly value?: unknown;
  }[];
}

function equalsOf(filter: string | null): DataPlace['equals'] {
  if (filter === null) return undefined;
  try {
    const { filters } = JSON.parse(filter) as FilterText;
    const found = filters?.find(({ kind, operator }) => kind === 'ColumnFilter' && operator === '=');
    return found?.column === undefined ? undefined : { column: found.column, value: String(found.value ?? '') };
  } catch {
    return undefined; // A hand-typed address may contain a filter that is not JSON.
  }
}
