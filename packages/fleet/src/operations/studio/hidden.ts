import type { HiddenColumn, StudioContext } from './context';
import { annotatedColumns } from './tables';

/** The columns of a service whose values the studio may not show. Of one that is not shown, those that its schema marks. */
export function hiddenColumns(
  { access, schemaModel, reveal }: StudioContext,
  service: string,
): readonly HiddenColumn[] {
  return access.get(service)?.hidden() ?? (reveal ? [] : annotatedColumns(schemaModel, service));
}

/** Whether the studio may not show the values of a service's column. */
export function hiddenIn(context: StudioContext): (service: string, table: string, column: string) => boolean {
  const keys = new Set(
    context.schemaModel.services.flatMap(({ name }) =>
      hiddenColumns(context, name).map(({ table, column }) => JSON.stringify([name, table, column])),
    ),
  );
  return (...path) => keys.has(JSON.stringify(path));
}
