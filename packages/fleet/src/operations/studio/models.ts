import { type ModelSchema, references, type SchemaModel } from '../../schema/schema-model';
import { hiddenIn, type StudioContext } from './context';

/** A model of a service, for the diagrams. Columns have their names in the database. */
export interface StudioModel {
  readonly name: string;
  readonly table: string;
  readonly columns: readonly {
    readonly name: string;
    /** As SQL writes it: `varchar(200)`, `text[]`. */
    readonly type: string;
    readonly isId: boolean;
    readonly isHidden: boolean;
  }[];
  /** Foreign keys: the model that a row belongs to, and the columns that identify the row there. */
  readonly relations: readonly { readonly to: string; readonly columns: readonly string[] }[];
}

/** One end of a reference between services. */
export interface ModelColumn {
  readonly service: string;
  readonly model: string;
  readonly column: string;
}

export interface StudioModels {
  readonly services: readonly { readonly service: string; readonly models: readonly StudioModel[] }[];
  readonly references: readonly { readonly from: ModelColumn; readonly to: ModelColumn }[];
}

/** Returns the models of every service and the references between services, from the schemas. Connects to no database. */
export function readModels(context: StudioContext): StudioModels {
  const isHidden = hiddenIn(context);
  return {
    services: context.schemaModel.services.map(({ name: service, models }) => ({
      service,
      models: models.map((model) => modelOf(model, (column) => isHidden(service, model.table, column))),
    })),
    references: references(context.schemaModel).map(({ service, model, column, target }) => ({
      from: { service, model, column },
      to: { service: target.service, model: target.model, column: target.column },
    })),
  };
}

function modelOf(
  { name, table, columns, foreignKeys }: ModelSchema,
  isHidden: (column: string) => boolean,
): StudioModel {
  return {
    name,
    table,
    columns: columns.map((column) => ({
      name: column.name,
      type: column.sqlType,
      isId: column.isId,
      isHidden: isHidden(column.name),
    })),
    relations: foreignKeys.map((key) => ({ to: key.target.model, columns: key.columns })),
  };
}

/** A column whose values lead to rows of another table. */
export interface FleetLink {
  readonly service: string;
  readonly table: string;
  readonly column: string;
  readonly toService: string;
  readonly toTable: string;
  readonly toColumn: string;
}

/**
 * Returns the references to other databases, and the column pairs of composite foreign keys, which Studio's own
 * introspection pairs wrongly. Leaves out hidden columns and services that are not shown.
 */
export function readLinks(context: StudioContext): readonly FleetLink[] {
  const shown = new Set(context.targets.map(({ service }) => service.name));
  const isHidden = hiddenIn(context);
  return [...foreignKeyLinks(context.schemaModel), ...referenceLinks(context.schemaModel)].filter(
    ({ service, table, column, toService, toTable, toColumn }) =>
      shown.has(service) &&
      shown.has(toService) &&
      !isHidden(service, table, column) &&
      !isHidden(toService, toTable, toColumn),
  );
}

function referenceLinks(schemaModel: SchemaModel): readonly FleetLink[] {
  return references(schemaModel).map(({ service, table, column, target }) => ({
    ...{ service, table, column },
    ...{ toService: target.service, toTable: target.table, toColumn: target.column },
  }));
}

function foreignKeyLinks({ services }: SchemaModel): readonly FleetLink[] {
  return services.flatMap(({ name, models }) =>
    models.flatMap((model) =>
      pairsOf(model).map(([column, toTable, toColumn]) => ({
        ...{ service: name, table: model.table, column, toService: name, toTable, toColumn },
      })),
    ),
  );
}

type ColumnPair = readonly [column: string, toTable: string, toColumn: string];

/** A column that is a foreign key by itself leads along that key; a column of several composite keys along the first. */
function pairsOf({ foreignKeys }: ModelSchema): readonly ColumnPair[] {
  const pairs = new Map<string, ColumnPair>();
  const composite = foreignKeys.filter(({ columns }) => columns.length > 1);
  for (const { columns, target } of composite.toReversed()) {
    for (const [index, column] of columns.entries())
      pairs.set(column, [column, target.table, target.columns[index] ?? '']);
  }
  for (const { columns, target } of foreignKeys) {
    const [column = '', ...others] = columns;
    if (others.length === 0 && pairs.has(column)) pairs.set(column, [column, target.table, target.columns[0] ?? '']);
  }
  return [...pairs.values()];
}
