import { SuiteError } from '@azora/db-core';
import { type FieldPath, pathText, type SourceField } from './annotations';
import { maskTreatment } from './masking';
import type { ColumnSchema, ModelSchema, SchemaModel, SchemaProblem, ServiceSchema } from './model';

/** The problems of one service that do not depend on other services. */
export function checkService({ file, models }: ServiceSchema): readonly SchemaProblem[] {
  return models.flatMap((model) =>
    [
      ...checkErase(model),
      ...checkRetention(model),
      ...model.columns.flatMap((column) => [...checkMask(column), ...checkSources(models, model, column)]),
    ].map((it) => ({ file, ...it })),
  );
}

function checkMask(column: ColumnSchema) {
  if (maskTreatment(column) !== 'impossible') return [];
  const { line, field, sqlType } = column;
  return [
    { line, message: `a masked backup has no replacement for ${field} of type ${sqlType}, which needs an @mask` },
  ];
}

function checkSources(
  models: readonly ModelSchema[],
  model: ModelSchema,
  { line, field, derivedFrom = [] }: ColumnSchema,
) {
  return derivedFrom.flatMap((source) => {
    const message = sourceProblem(models, model, source);
    const name = source.model === undefined ? source.field : `${source.model}.${source.field}`;
    return message === undefined ? [] : [{ line, message: `@derived-from ${name} of ${field}: ${message}` }];
  });
}

function sourceProblem(models: readonly ModelSchema[], own: ModelSchema, source: SourceField): string | undefined {
  const model = source.model === undefined ? own : models.find(({ name }) => name === source.model);
  const column = model?.columns.find(({ field }) => field === source.field);
  if (column === undefined) return 'the column does not exist';
  return maskTreatment(column) === 'keep' ? 'the column is not masked' : undefined;
}

function checkErase({ name, line, columns, erase }: ModelSchema) {
  if (erase !== undefined) return [];
  const personal = columns.filter((column) => column.subject !== undefined || column.pii !== undefined);
  if (personal.length === 0) return [];
  const fields = personal.map(({ field }) => field).join(', ');
  return [{ line, message: `${name} contains personal data (${fields}) and needs an @erase` }];
}

function checkRetention({ name, line, columns, retain }: ModelSchema) {
  if (retain === undefined) return [];
  const column = columns.find(({ field }) => field === retain.field);
  if (column?.pslType === 'DateTime' && !column.isList) return [];
  const found = column === undefined ? 'does not exist' : 'is not a DateTime';
  return [{ line, message: `@retain of ${name} counts from ${retain.field}, which ${found}` }];
}

/** The references and subjects that do not resolve, given the schemas of all services. */
export function checkPaths(schemaModel: SchemaModel): readonly SchemaProblem[] {
  return schemaModel.services.flatMap(({ file, models }) =>
    models.flatMap(({ columns }) =>
      columns.flatMap((column) => [
        ...checkPath(schemaModel, file, column, '@ref', column.ref),
        ...checkPath(schemaModel, file, column, '@subject', column.subject),
      ]),
    ),
  );
}

function checkPath(
  schemaModel: SchemaModel,
  file: string,
  column: ColumnSchema,
  word: string,
  path: FieldPath | undefined,
) {
  const message = path === undefined ? undefined : pathProblem(schemaModel, column, path);
  return path === undefined || message === undefined
    ? []
    : [{ file, line: column.line, message: `${word} ${pathText(path)} of ${column.field}: ${message}` }];
}

/** Whether rows can be found by this column: it must be the first column of a key or an index. */
function canBeLookedUp({ uniques, indexes }: ModelSchema, { name, isUnique }: ColumnSchema): boolean {
  return isUnique || [...uniques, ...indexes].some(({ columns }) => columns[0] === name);
}

function pathProblem(
  schemaModel: SchemaModel,
  column: ColumnSchema,
  { service, model, field }: FieldPath,
): string | undefined {
  const owner = schemaModel.services.find(({ name }) => name === service);
  if (owner === undefined) return `there is no service ${service}`;
  const target = owner.models.find(({ name }) => name === model);
  if (target === undefined) return `${service} has no model ${model}`;
  const key = target.columns.find((it) => it.field === field);
  if (key === undefined) return `${service}.${model} has no column ${field}`;
  if (!canBeLookedUp(target, key)) return `no key or index of ${service}.${model} begins with ${field}`;
  if (key.pslType === column.pslType) return undefined;
  return `the column has type ${column.pslType}, the id has type ${key.pslType}`;
}

/** One error for the problems of all schemas. */
export function invalidAnnotations(found: readonly SchemaProblem[]): SuiteError {
  const files = [...new Set(found.map(({ file }) => file))];
  const problems = files.flatMap((file) => found.filter((it) => it.file === file).sort((a, b) => a.line - b.line));
  const count = problems.length === 1 ? 'One annotation' : `${problems.length} annotations`;
  return new SuiteError('SCHEMA.INVALID_ANNOTATION', `${count} in the schemas cannot be used`, {
    kind: 'configuration',
    why: problems.map(({ file, line, message }) => `${file}:${line}: ${message}`).join('\n'),
    next: 'Correct the comments at these lines',
    meta: { problems },
  });
}
