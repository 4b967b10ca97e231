import { SuiteError } from '@azora/db-core';
import { type FieldPath, pathText } from './annotations';
import type { Catalog, CatalogColumn, CatalogModel, CatalogProblem, CatalogService } from './catalog-model';

/** What is wrong inside one service, whatever the others say. */
export function checkService({ file, models }: CatalogService): readonly CatalogProblem[] {
  return models.flatMap((model) => [...checkErase(model), ...checkRetention(model)].map((it) => ({ file, ...it })));
}

function checkErase({ name, line, columns, erase }: CatalogModel) {
  if (erase !== undefined) return [];
  const personal = columns.filter((column) => column.subject !== undefined || column.pii !== undefined);
  if (personal.length === 0) return [];
  const fields = personal.map(({ field }) => field).join(', ');
  return [{ line, message: `${name} holds personal data (${fields}) and needs an @erase` }];
}

function checkRetention({ name, line, columns, retain }: CatalogModel) {
  if (retain === undefined) return [];
  const column = columns.find(({ field }) => field === retain.field);
  if (column?.pslType === 'DateTime' && !column.isList) return [];
  const found = column === undefined ? 'no field' : 'no time';
  return [{ line, message: `@retain of ${name} counts from ${retain.field}, which is ${found} of it` }];
}

/** Which references and subjects lead to nothing, given the schemas of all services. */
export function checkPaths(catalog: Catalog): readonly CatalogProblem[] {
  return catalog.services.flatMap(({ file, models }) =>
    models.flatMap(({ columns }) =>
      columns.flatMap((column) => [
        ...checkPath(catalog, file, column, '@ref', column.ref),
        ...checkPath(catalog, file, column, '@subject', column.subject),
      ]),
    ),
  );
}

function checkPath(catalog: Catalog, file: string, column: CatalogColumn, word: string, path: FieldPath | undefined) {
  const message = path === undefined ? undefined : pathProblem(catalog, column, path);
  return path === undefined || message === undefined
    ? []
    : [{ file, line: column.line, message: `${word} ${pathText(path)} of ${column.field}: ${message}` }];
}

function pathProblem(
  catalog: Catalog,
  column: CatalogColumn,
  { service, model, field }: FieldPath,
): string | undefined {
  const owner = catalog.services.find(({ name }) => name === service);
  if (owner === undefined) return `there is no service ${service}`;
  const target = owner.models.find(({ name }) => name === model);
  if (target === undefined) return `${service} has no model ${model}`;
  const key = target.columns.find((it) => it.field === field);
  if (key === undefined) return `${service}.${model} has no column ${field}`;
  if (!key.isUnique) return `${field} does not identify a row of ${service}.${model}`;
  if (key.pslType === column.pslType) return undefined;
  return `a ${column.pslType} cannot hold an id that is a ${key.pslType}`;
}

/** One error for all problems of all schemas. */
export function invalidCatalog(problems: readonly CatalogProblem[]): SuiteError {
  const count = problems.length === 1 ? 'One annotation' : `${problems.length} annotations`;
  return new SuiteError('CATALOG.INVALID', `${count} of the schemas cannot be used`, {
    why: problems.map(({ file, line, message }) => `${file}:${line}: ${message}`).join('\n'),
    next: 'Correct the comments at the lines named',
    meta: { problems },
  });
}
