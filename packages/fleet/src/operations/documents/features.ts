import type { ColumnSchema, ModelSchema } from '../../schema/schema-model';

type Test = (model: ModelSchema, column: ColumnSchema) => boolean;

/** What a reader may look for, each with what in a schema shows that a service has it. */
const FEATURES: readonly (readonly [name: string, test: Test])[] = [
  ['append-only tables', ({ grant }) => !grant.includes('update') && !grant.includes('delete')],
  ['full-text search', (_, { sqlType }) => sqlType === 'tsvector'],
  ['idempotency keys', (_, { name }) => name === 'idempotency_key'],
  ['JSON documents', (_, { pslType }) => pslType === 'Json'],
  ['money', (_, { sqlType }) => sqlType === 'decimal(18,8)'],
  ['retention', ({ retain }) => retain !== undefined],
  ['soft delete', (_, { name }) => name === 'deleted_at'],
  ['vector search', (_, { sqlType }) => /^(half|sparse)?vec(tor)?\b/.test(sqlType)],
];

export function featuresOf(models: readonly ModelSchema[]): readonly string[] {
  const has = (test: Test) => models.some((model) => model.columns.some((column) => test(model, column)));
  return FEATURES.filter(([, test]) => has(test)).map(([name]) => name);
}
