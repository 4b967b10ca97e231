import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Service } from '../config/registry';
import { buildService } from './build';
import type { ModelSchema, SchemaModel, ServiceSchema } from './model';
import { invalidSchema, type ParseProblem, parseSchemas, type SchemaSource, scanSchema } from './psl';
import { checkPaths, checkService, invalidAnnotations } from './validation';

export type { ColumnSchema, ForeignKey, ModelSchema, SchemaModel, ServiceSchema } from './model';

/** A column whose values are ids of another service's database. */
export interface Reference {
  readonly service: string;
  readonly model: string;
  readonly field: string;
  readonly table: string;
  readonly column: string;
  readonly isList: boolean;
  readonly target: {
    readonly service: string;
    readonly model: string;
    readonly field: string;
    readonly table: string;
    readonly column: string;
  };
}

export interface ReadSchemaModelOptions {
  /** `unchecked` reads a part of the suite, whose references point to services that are not read. */
  readonly references?: 'checked' | 'unchecked';
}

/**
 * Reads the schemas of services. All services of the suite must be given unless `references` is `unchecked`.
 * @throws {SuiteError} `SCHEMA.INVALID`, `SCHEMA.INVALID_ANNOTATION`; each reports all problems with file and line
 */
export async function readSchemaModel(
  services: readonly Service[],
  { references: checking = 'checked' }: ReadSchemaModelOptions = {},
): Promise<SchemaModel> {
  const sources = await readSources(services);
  const datamodels = await parseSchemas(sources);
  const built = datamodels.map((datamodel, index) => {
    const { file = '', text = '' } = sources[index] ?? {};
    return buildService(services[index]?.name ?? '', file, text, datamodel);
  });
  const schemaModel = { services: built.map(({ service }) => service) };
  const problems = [
    ...built.flatMap((it) => [...it.problems, ...checkService(it.service)]),
    ...(checking === 'checked' ? checkPaths(schemaModel) : []),
  ];
  if (problems.length > 0) throw invalidAnnotations(problems);
  return schemaModel;
}

/**
 * The number of models of each service. Reads lines only, so it is fast and works on a schema that does not parse.
 * @throws {SuiteError} `SCHEMA.INVALID` for a schema that cannot be read
 */
export async function countModels(services: readonly Service[]): Promise<ReadonlyMap<string, number>> {
  const sources = await readSources(services);
  const counts = sources.map(({ text }) => scanSchema(text).blocks.filter(({ kind }) => kind === 'model').length);
  return new Map(services.map(({ name }, index) => [name, counts[index] ?? 0]));
}

/** All references between databases, in the order of the schemas, except those to services that were not read. */
export function references(schemaModel: SchemaModel): readonly Reference[] {
  return schemaModel.services.flatMap((service) =>
    service.models.flatMap((model) =>
      model.columns.flatMap((column) => referenceOf(schemaModel, service, model, column)),
    ),
  );
}

function referenceOf(
  schemaModel: SchemaModel,
  { name: service }: ServiceSchema,
  { name: model, table }: ModelSchema,
  { ref, field, name: column, isList }: ModelSchema['columns'][number],
): Reference[] {
  const owner = schemaModel.services
    .find(({ name }) => name === ref?.service)
    ?.models.find(({ name }) => name === ref?.model);
  const key = owner?.columns.find((it) => it.field === ref?.field);
  if (ref === undefined || owner === undefined || key === undefined) return [];
  return [{ service, model, field, table, column, isList, target: { ...ref, table: owner.table, column: key.name } }];
}

/**
 * The services in waves. Each service comes after all services that it refers to, and the services of one wave are
 * independent. Services that refer to each other in a circle share a wave. Each wave is sorted by name.
 */
export function serviceOrder(schemaModel: SchemaModel): readonly (readonly string[])[] {
  const reached = reachable(schemaModel);
  const reaches = (from: string, to: string): boolean => reached.get(from)?.has(to) === true;
  const done = new Set<string>();
  const waves: string[][] = [];
  while (done.size < reached.size) {
    const wave = [...reached]
      .filter(([name, others]) => !done.has(name) && [...others].every((it) => done.has(it) || reaches(it, name)))
      .map(([name]) => name)
      .sort();
    for (const name of wave) done.add(name);
    waves.push(wave);
  }
  return waves;
}

/** The services that each service refers to, directly or through others. */
function reachable(schemaModel: SchemaModel): ReadonlyMap<string, ReadonlySet<string>> {
  const direct = new Map(schemaModel.services.map(({ name }) => [name, new Set<string>()]));
  for (const { service, target } of references(schemaModel)) direct.get(service)?.add(target.service);
  for (const others of direct.values()) {
    // A loop over a set also visits the elements that are added meanwhile.
    for (const other of others) for (const further of direct.get(other) ?? []) others.add(further);
  }
  return direct;
}

async function readSources(services: readonly Service[]): Promise<readonly SchemaSource[]> {
  const problems: ParseProblem[] = [];
  const sources = await Promise.all(
    services.map(async ({ directory, schemaPath }) => {
      const root = path.resolve(directory, '..', '..');
      const file = path.relative(root, schemaPath).replaceAll(path.sep, '/');
      const text = await readFile(schemaPath, 'utf8').catch((error: NodeJS.ErrnoException) => {
        problems.push({ file, line: undefined, message: `The file cannot be read (${error.code ?? error.message}).` });
        return '';
      });
      return { file, text };
    }),
  );
  // Reads end in any order; the message is sorted.
  if (problems.length > 0) throw invalidSchema(problems.sort((one, other) => (one.file < other.file ? -1 : 1)));
  return sources;
}
