import type { ModelSchema } from '../../schema/model';
import { references } from '../../schema/schema-model';
import type { StudioContext } from './context';
import { hiddenIn } from './hidden';

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
 * References to other databases, and the columns of foreign keys of several columns, of which Studio's own reading of a
 * database pairs the wrong ones. Links of hidden columns, and those to services that are not shown, are left out.
 */
export function readLinks(context: StudioContext): readonly FleetLink[] {
  const shown = new Set(context.targets.map(({ service }) => service.name));
  const isHidden = hiddenIn(context);
  return [...keysOf(context), ...referencesOf(context)].filter(
    ({ service, table, column, toService, toTable, toColumn }) =>
      shown.has(service) &&
      shown.has(toService) &&
      !isHidden(service, table, column) &&
      !isHidden(toService, toTable, toColumn),
  );
}

function referencesOf({ schemaModel }: StudioContext): readonly FleetLink[] {
  return references(schemaModel).map(({ service, table, column, target }) => ({
    ...{ service, table, column },
    ...{ toService: target.service, toTable: target.table, toColumn: target.column },
  }));
}

function keysOf({ schemaModel }: StudioContext): readonly FleetLink[] {
  return schemaModel.services.flatMap(({ name, models }) =>
    models.flatMap((model) =>
      pairsOf(model).map(([column, toTable, toColumn]) => ({
        ...{ service: name, table: model.table, column, toService: name, toTable, toColumn },
      })),
    ),
  );
}

/** A column that is a key by itself leads by that; one in several keys by the first. */
function pairsOf({
  foreignKeys,
}: ModelSchema): readonly (readonly [column: string, table: string, toColumn: string])[] {
  const pairs = new Map<string, readonly [string, string, string]>();
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
