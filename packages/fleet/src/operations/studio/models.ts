import { type ModelSchema, references, type SchemaModel } from '../../schema/schema-model';
import type { StudioContext } from './context';
import { hiddenIn } from './hidden';

/** A model of a service, for the diagram. Columns go by their names in the database. */
export interface StudioModel {
  readonly name: string;
  readonly table: string;
  readonly columns: readonly {
    readonly name: string;
    /** As SQL has it: `varchar(200)`, `text[]`. */
    readonly type: string;
    readonly isId: boolean;
    /** Whether its values are not shown. */
    readonly isHidden: boolean;
  }[];
  /** Foreign keys: the model that a row belongs to, and the columns that say to which of its rows. */
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

/** The models of every service and the references between them, as the schemas have them; no database is asked. */
export function readModels(context: StudioContext): StudioModels {
  const isHidden = hiddenIn(context);
  return {
    services: context.schemaModel.services.map(({ name: service, models }) => ({
      service,
      models: models.map((model) => modelOf(model, (column) => isHidden(service, model.table, column))),
    })),
    references: edges(context.schemaModel),
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

function edges(schemaModel: SchemaModel): StudioModels['references'] {
  return references(schemaModel).map(({ service, model, column, target }) => ({
    from: { service, model, column },
    to: { service: target.service, model: target.model, column: target.column },
  }));
}
