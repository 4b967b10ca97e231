import { MANIFEST_PREFIX, type Service } from '../../config/registry';
import {
  type ColumnSchema,
  type ModelSchema,
  references,
  type SchemaModel,
  type ServiceSchema,
} from '../../schema/schema-model';
import type { Invariants } from './invariants';
import { code, codeList, counted, fenced, GENERATED, joinBlocks, table } from './markdown';

type Test = (model: ModelSchema, column: ColumnSchema) => boolean;

/** The features that a reader may look for, each with a test on the columns of a service. */
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

/** The services with their models and annotations, read from their files. */
export function renderStatus(
  schemaModel: SchemaModel,
  services: readonly Service[],
  invariants: ReadonlyMap<string, Invariants>,
): string {
  return joinBlocks([
    GENERATED,
    '# Database status',
    summary(schemaModel),
    '## Services',
    '`npm run db:status` shows the state of the running databases. [docs/er](docs/er/references.md) has the diagrams.',
    table(
      ['Service', 'Database', 'Models', 'Columns', 'Extensions', 'Features', 'Refers to'],
      schemaModel.services.map((service) => serviceRow(schemaModel, service, manifestOf(services, service))),
    ),
    ...schemaModel.services.flatMap((service) => [
      `## ${service.name}`,
      manifestOf(services, service)?.description ?? '',
      `${counted(service.models.length, 'model')}, [diagram](docs/er/${service.name}.md).`,
      ...serviceBlocks(service, invariants.get(service.name)),
    ]),
    '## References between services',
    table(
      ['Column', 'Holds', 'Values'],
      references(schemaModel).map(({ service, table: from, column, isList, target }) => [
        code(`${service}.${from}.${column}`),
        code(`${target.service}.${target.table}.${target.column}`),
        isList ? 'list' : 'one',
      ]),
    ),
  ]);
}

function summary(schemaModel: SchemaModel): string {
  const models = schemaModel.services.flatMap((service) => service.models);
  const columns = models.flatMap((model) => model.columns);
  const facts = [
    ['Services', schemaModel.services.length],
    ['Models', models.length],
    ['Columns', columns.length],
    ['Enums', schemaModel.services.flatMap((service) => service.enums).length],
    ['References between services', references(schemaModel).length],
    ['Columns with personal data', columns.filter(({ pii }) => pii !== undefined).length],
    ['Columns with secrets', columns.filter(({ isSecret }) => isSecret).length],
    ['Tables with retention', models.filter(({ retain }) => retain !== undefined).length],
  ] as const;
  return table(['Item', 'Count'], facts);
}

function manifestOf(services: readonly Service[], { name }: ServiceSchema): Service | undefined {
  return services.find((service) => service.name === name);
}

function serviceRow(schemaModel: SchemaModel, { name, models }: ServiceSchema, manifest: Service | undefined) {
  const targets = references(schemaModel).filter(({ service }) => service === name);
  const owners = [...new Set(targets.map(({ target }) => target.service))].sort();
  return [
    `[${name}](#${name})`,
    code(`${MANIFEST_PREFIX}${manifest?.databaseSuffix ?? name}`),
    models.length,
    models.flatMap(({ columns }) => columns).length,
    manifest?.extensions.join(', ') ?? '',
    featuresOf(models).join(', '),
    owners.join(', '),
  ];
}

function serviceBlocks({ models, enums }: ServiceSchema, invariants: Invariants | undefined): readonly string[] {
  return [
    table(['Model', 'Table', 'Columns', 'App role rights', 'On erasure', 'Purpose'], models.map(modelRow)),
    fenced('text', relationTree(models)),
    ...section(
      'Enums',
      table(
        ['Enum', 'Values'],
        enums.map(({ type, values }) => [code(type), values.join(', ')]),
      ),
    ),
    ...section('Defined in SQL only', invariants === undefined ? '' : invariantList(invariants)),
    ...section(
      'Personal data and secrets',
      table(
        ['Column', 'Personal data', 'Secret', 'Person'],
        models.flatMap((model) => model.columns.filter(isSensitive).map((column) => sensitiveRow(model, column))),
      ),
    ),
    ...section(
      'Retention',
      table(
        ['Table', 'Kept for', 'Counted from'],
        models.flatMap(({ table: name, retain }) =>
          retain === undefined ? [] : [[code(name), counted(retain.days, 'day'), code(retain.column)]],
        ),
      ),
    ),
  ];
}

/** A heading with its content, or nothing when there is no content. */
function section(title: string, content: string): readonly string[] {
  return content === '' ? [] : [`### ${title}`, content];
}

function modelRow({ name, table: tableName, columns, grant, erase, documentation }: ModelSchema) {
  const erased = erase?.action === 'retain' ? `retain: ${erase.reason}` : (erase?.action ?? '');
  return [name, code(tableName), columns.length, grant.join(', '), erased, documentation];
}

function invariantList({ checks, indexes, triggers }: Invariants): string {
  const kinds = [
    ['Checks', checks],
    ['Indexes', indexes],
    ['Triggers', triggers],
  ] as const;
  return kinds
    .filter(([, names]) => names.length > 0)
    .map(([kind, names]) => `- ${kind}: ${codeList(names)}`)
    .join('\n');
}

function isSensitive({ pii, isSecret, subject }: ColumnSchema): boolean {
  return pii !== undefined || isSecret || subject !== undefined;
}

function sensitiveRow(model: ModelSchema, { name, pii, isSecret, subject }: ColumnSchema) {
  const person = subject === undefined ? '' : `${subject.service}.${subject.model}.${subject.field}`;
  return [code(`${model.table}.${name}`), pii ?? '', isSecret ? 'yes' : '', person];
}

function featuresOf(models: readonly ModelSchema[]): readonly string[] {
  const has = (test: Test) => models.some((model) => model.columns.some((column) => test(model, column)));
  return FEATURES.filter(([, test]) => has(test)).map(([name]) => name);
}

interface Child {
  readonly model: ModelSchema;
  readonly label: string;
}

/**
 * The models as trees of parents and children, roots first. A model with several parents is shown below each of them, and
 * its own children once, so that circles end. A circle without a root begins at its first model.
 */
export function relationTree(models: readonly ModelSchema[]): readonly string[] {
  const shown = new Set<string>();
  const isRoot = (model: ModelSchema) => model.foreignKeys.every(({ target }) => target.model === model.name);
  const inOrder = [...models.filter(isRoot), ...models.filter((model) => !isRoot(model))];
  return inOrder.flatMap((model) => (shown.has(model.name) ? [] : [model.name, ...branches(model, models, '', shown)]));
}

function branches(parent: ModelSchema, models: readonly ModelSchema[], indent: string, shown: Set<string>): string[] {
  if (shown.has(parent.name)) return [];
  shown.add(parent.name);
  const children = childrenOf(parent, models);
  return children.flatMap(({ model, label }, index) => {
    const isLast = index === children.length - 1;
    const below = branches(model, models, `${indent}${isLast ? '    ' : '│   '}`, shown);
    return [`${indent}${isLast ? '└──' : '├──'} ${label}`, ...below];
  });
}

function childrenOf(parent: ModelSchema, models: readonly ModelSchema[]): readonly Child[] {
  return models.flatMap((model) =>
    model.foreignKeys
      .filter(({ target }) => target.model === parent.name)
      .map(({ columns, isUnique }) => ({
        model,
        label: `${model.name} (${isUnique ? '1:1' : '1:N'}, ${columns.join(', ')})`,
      })),
  );
}
