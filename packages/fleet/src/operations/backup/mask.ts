import { maskExpression } from '../../postgres/dump/mask';
import type { ColumnExpressions } from '../../postgres/dump/rows';
import type { SchemaModel } from '../../schema/schema-model';

/** What stands for the columns of a table that are annotated `@pii`, `@secret` or `@mask`. */
export function maskOf(schemaModel: SchemaModel, service: string): (table: string) => ColumnExpressions {
  const models = schemaModel.services.find(({ name }) => name === service)?.models ?? [];
  const tables = new Map(
    models.map(({ table, columns }) => {
      const masked = columns.flatMap((column): [string, string][] => {
        const { name, sqlType, isNullable, isSecret, pii: kind, mask } = column;
        if (!isSecret && kind === undefined && mask === undefined) return [];
        const expression = maskExpression({ name, sqlType, isNullable, isSecret, kind, mask });
        return expression === undefined ? [] : [[name, expression]];
      });
      return [table, new Map(masked)];
    }),
  );
  return (table) => tables.get(table) ?? new Map();
}
