import type { StudioTable } from '../../postgres/studio-role';
import type { SchemaModel } from '../../schema/schema-model';
import type { AuditLog, HiddenColumn } from './context';

/** The columns of a service that are annotated `@pii` or `@secret`. */
export function annotatedColumns(schemaModel: SchemaModel, service: string): readonly HiddenColumn[] {
  const models = schemaModel.services.find(({ name }) => name === service)?.models ?? [];
  return models.flatMap(({ table, columns }) =>
    columns.flatMap(({ name: column, isSecret, pii }): HiddenColumn[] => {
      if (isSecret) return [{ table, column, kind: 'secret' }];
      return pii === undefined ? [] : [{ table, column, kind: 'pii' }];
    }),
  );
}

const AUDIT_MODEL = 'AuditLog';

/** A service's audit log, which every service has under this name; undefined in one that has none. */
export function auditLogOf(schemaModel: SchemaModel, service: string): AuditLog | undefined {
  const models = schemaModel.services.find(({ name }) => name === service)?.models ?? [];
  const log = models.find(({ name }) => name === AUDIT_MODEL);
  if (log === undefined) return undefined;
  return { table: log.table, keys: new Map(models.map(({ table, primaryKey }) => [table, primaryKey])) };
}

/** Prisma's history of migrations: read by everybody, written by migrations only. */
const HISTORY = '_prisma_migrations';

/**
 * What the studio may do with each table: with `write`, no more than the app role may. A value that is secret is not typed
 * into a page, for it would stand in the audit log; entries of that log are written whole.
 */
export function studioTables(
  schemaModel: SchemaModel,
  service: string,
  hidden: readonly HiddenColumn[],
  write: boolean,
): readonly StudioTable[] {
  const models = schemaModel.services.find(({ name }) => name === service)?.models ?? [];
  const tables = models.map(({ name, table, columns, grant }): StudioTable => {
    const ofTable = new Set(hidden.filter((it) => it.table === table).map(({ column }) => column));
    const secret = columns.filter(({ isSecret }) => isSecret).map((column) => column.name);
    return {
      table,
      hidden: ofTable,
      fixed: name === AUDIT_MODEL ? new Set() : new Set([...ofTable, ...secret]),
      privileges: write ? grant.filter((privilege) => privilege !== 'select') : [],
    };
  });
  return [...tables, { table: HISTORY, hidden: new Set(), fixed: new Set(), privileges: [] }];
}
