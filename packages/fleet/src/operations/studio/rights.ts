import type { StudioTable } from '../../postgres/studio/role';
import type { SchemaModel } from '../../schema/schema-model';

/** A column whose values the studio does not show. */
export interface HiddenColumn {
  readonly table: string;
  readonly column: string;
  readonly kind: 'pii' | 'secret';
}

/** The audit log of a service. */
export interface AuditLog {
  readonly table: string;
  /** The primary key columns of every table, by table name. */
  readonly keys: ReadonlyMap<string, readonly string[]>;
}

const AUDIT_MODEL = 'AuditLog';
/** Prisma's history of migrations: readable, and written by migrations only. */
const HISTORY = '_prisma_migrations';

/** Returns the columns of a service that are annotated `@pii` or `@secret`. */
export function annotatedColumns(schemaModel: SchemaModel, service: string): readonly HiddenColumn[] {
  return modelsOf(schemaModel, service).flatMap(({ table, columns }) =>
    columns.flatMap(({ name: column, isSecret, pii }): HiddenColumn[] => {
      if (isSecret) return [{ table, column, kind: 'secret' }];
      return pii === undefined ? [] : [{ table, column, kind: 'pii' }];
    }),
  );
}

/** A column that the generated client fills in a new row, because the database has no default for it. */
export interface FilledColumn {
  readonly table: string;
  readonly column: string;
  readonly by: 'cuid' | 'uuid' | 'time';
}

/** Returns the columns of a service that the generated client fills. */
export function filledColumns(schemaModel: SchemaModel, service: string): readonly FilledColumn[] {
  return modelsOf(schemaModel, service).flatMap(({ table, columns }) =>
    columns.flatMap(({ name: column, default: value = '', isUpdatedAt }): FilledColumn[] => {
      if (isUpdatedAt) return [{ table, column, by: 'time' }];
      const [, by] = /^(cuid|uuid)\(/.exec(value) ?? [];
      return by === 'cuid' || by === 'uuid' ? [{ table, column, by }] : [];
    }),
  );
}

/** Returns a service's audit log, the model `AuditLog`; undefined when the service has none. */
export function auditLogOf(schemaModel: SchemaModel, service: string): AuditLog | undefined {
  const models = modelsOf(schemaModel, service);
  const log = models.find(({ name }) => name === AUDIT_MODEL);
  if (log === undefined) return undefined;
  return { table: log.table, keys: new Map(models.map(({ table, primaryKey }) => [table, primaryKey])) };
}

/**
 * Returns the privileges of the studio on each table. With `write` they are at most those of the app role. Secret
 * columns cannot be written, because the audit log would record the value; audit rows are inserted whole.
 */
export function studioTables(
  schemaModel: SchemaModel,
  service: string,
  hidden: readonly HiddenColumn[],
  write: boolean,
): readonly StudioTable[] {
  const tables = modelsOf(schemaModel, service).map(({ name, table, columns, grant }): StudioTable => {
    const hiddenHere = new Set(hidden.filter((it) => it.table === table).map(({ column }) => column));
    const secret = columns.filter(({ isSecret }) => isSecret).map((column) => column.name);
    return {
      table,
      hidden: hiddenHere,
      fixed: name === AUDIT_MODEL ? new Set() : new Set([...hiddenHere, ...secret]),
      privileges: write ? grant.filter((privilege) => privilege !== 'select') : [],
    };
  });
  return [...tables, { table: HISTORY, hidden: new Set(), fixed: new Set(), privileges: [] }];
}

function modelsOf({ services }: SchemaModel, service: string) {
  return services.find(({ name }) => name === service)?.models ?? [];
}
