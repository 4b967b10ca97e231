import type { StudioTable } from '../../postgres/studio-role';
import type { Catalog } from '../../suite/catalog';
import type { HiddenColumn } from './context';

/** The columns of a service that are annotated `@pii` or `@secret`. */
export function annotatedColumns(catalog: Catalog, service: string): readonly HiddenColumn[] {
  const models = catalog.services.find(({ name }) => name === service)?.models ?? [];
  return models.flatMap(({ table, columns }) =>
    columns.flatMap(({ name: column, isSecret, pii }): HiddenColumn[] => {
      if (isSecret) return [{ table, column, kind: 'secret' }];
      return pii === undefined ? [] : [{ table, column, kind: 'pii' }];
    }),
  );
}

/** Prisma's history of migrations: read by everybody, written by migrations only. */
const HISTORY = '_prisma_migrations';

/** What the studio may do with each table: with `write`, no more than the app role may. */
export function studioTables(
  catalog: Catalog,
  service: string,
  hidden: readonly HiddenColumn[],
  write: boolean,
): readonly StudioTable[] {
  const models = catalog.services.find(({ name }) => name === service)?.models ?? [];
  const tables = models.map(({ table, grant }) => ({
    table,
    hidden: new Set(hidden.filter((it) => it.table === table).map(({ column }) => column)),
    privileges: write ? grant.filter((privilege) => privilege !== 'select') : [],
  }));
  return [...tables, { table: HISTORY, hidden: new Set<string>(), privileges: [] }];
}
