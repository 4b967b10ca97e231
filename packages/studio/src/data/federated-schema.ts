import type { AdapterIntrospectResult, Column, Schema, Table } from '@prisma/studio-core/data';
import type { FleetLink, FleetService, HiddenColumn } from '../api/answers';

/** The introspected schema of one service's database. */
export interface Introspected {
  readonly service: string;
  readonly result: AdapterIntrospectResult;
}

const PUBLIC = 'public';

/** The name under which Studio shows a schema of a service: for `public`, the name of the service. */
export function schemaName(service: string, schema: string): string {
  return schema === PUBLIC ? service : `${service}.${schema}`;
}

/** Splits a name that `schemaName` made. */
export function readSchemaName(name: string): { readonly service: string; readonly schema: string } {
  const dot = name.indexOf('.');
  return dot === -1 ? { service: name, schema: PUBLIC } : { service: name.slice(0, dot), schema: name.slice(dot + 1) };
}

/** Combines all databases into the schemas of one, without hidden columns and with links between the databases. */
export function federate(
  parts: readonly Introspected[],
  services: readonly Pick<FleetService, 'service' | 'hidden'>[],
  links: readonly FleetLink[],
): Record<string, Schema> {
  const schemas: Record<string, Schema> = {};
  for (const { service, result } of parts) {
    const hidden = services.find((entry) => entry.service === service)?.hidden ?? [];
    for (const schema of Object.values(result.schemas)) {
      const name = schemaName(service, schema.name);
      const tables = Object.values(schema.tables)
        .sort(byName)
        .map((table) => moved(table, service, name, hidden));
      schemas[name] = { name, tables: Object.fromEntries(tables.map((table) => [table.name, table])) };
    }
  }
  for (const link of links) addLink(schemas, link);
  return schemas;
}

/** Studio opens the first table of a schema, so `_prisma_migrations` comes last. */
function byName(left: Table, right: Table): number {
  const isInternal = (table: Table): number => Number(table.name.startsWith('_'));
  return isInternal(left) - isInternal(right) || left.name.localeCompare(right.name);
}

function moved(table: Table, service: string, schema: string, hidden: readonly HiddenColumn[]): Table {
  const isShown = (column: Column): boolean =>
    !hidden.some((entry) => entry.table === table.name && entry.column === column.name);
  const columns = Object.values(table.columns)
    .filter(isShown)
    .map((column): [string, Column] => {
      const fkSchema = column.fkSchema === null ? null : schemaName(service, column.fkSchema);
      return [column.name, { ...column, schema, fkSchema }];
    });
  return { ...table, schema, columns: Object.fromEntries(columns) };
}

function addLink(schemas: Record<string, Schema>, link: FleetLink): void {
  const column = schemas[link.service]?.tables[link.table]?.columns[link.column];
  const target = schemas[link.toService]?.tables[link.toTable]?.columns[link.toColumn];
  if (column === undefined || target === undefined) return;
  Object.assign(column, { fkSchema: link.toService, fkTable: link.toTable, fkColumn: link.toColumn });
}
