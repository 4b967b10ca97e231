import { MANIFEST_PREFIX, type Service } from '../../config/registry';
import {
  type ColumnSchema,
  type ModelSchema,
  references,
  type SchemaModel,
  type ServiceSchema,
} from '../../schema/schema-model';
import { featuresOf } from './features';
import type { Invariants } from './invariants';
import { code, codeList, counted, fenced, GENERATED, joinBlocks, table } from './markdown';
import { relationTree } from './relation-tree';

/** What the suite has, service by service, and nothing that is not read from its files. */
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
    'The state of running databases is shown by `npm run db:status`; diagrams are in [docs/er](docs/er/references.md).',
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
  return table(['What', 'How many'], facts);
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
    table(['Model', 'Table', 'Columns', 'Store may', 'On erasure', 'Purpose'], models.map(modelRow)),
    fenced('text', relationTree(models)),
    ...section(
      'Enums',
      table(
        ['Enum', 'Values'],
        enums.map(({ type, values }) => [code(type), values.join(', ')]),
      ),
    ),
    ...section('Held by SQL beyond the schema', invariants === undefined ? '' : invariantList(invariants)),
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
        ['Table', 'Rows are kept', 'Counted from'],
        models.flatMap(({ table: name, retain }) =>
          retain === undefined ? [] : [[code(name), counted(retain.days, 'day'), code(retain.column)]],
        ),
      ),
    ),
  ];
}

/** A heading with its content, or nothing at all. */
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
