import type {
  ColumnSchema,
  ForeignKey,
  ModelSchema,
  Reference,
  SchemaModel,
  ServiceSchema,
} from '../../schema/schema-model';
import { references } from '../../schema/schema-model';
import { counted, fenced, GENERATED, joinBlocks } from './markdown';

/** The tables of one service as a Mermaid entity-relationship diagram. */
export function renderDiagram({ name, models }: ServiceSchema): string {
  const entities = models.flatMap(entity);
  const relations = models.flatMap((model) => model.foreignKeys.map((key) => relation(model, key)));
  return joinBlocks([
    GENERATED,
    `# Tables of ${name}`,
    'PK: primary key, FK: foreign key, UK: unique. The types of lists end in `[]`. A comment names a field of another service.',
    fenced('mermaid', ['erDiagram', ...entities, ...relations].map(indentBelowFirst)),
    'See also [DATABASE-STATUS.md](../../DATABASE-STATUS.md) and the references to other services in [references.md](references.md).',
  ]);
}

/** The references between services as a Mermaid flowchart. */
export function renderReferences(schemaModel: SchemaModel): string {
  const all = references(schemaModel);
  const nodes = schemaModel.services.map(({ name }) => `${nodeId(name)}["${name}"]`);
  const edges = [...groupEdges(all)].map(
    ([, { from, to, key, count }]) => `${nodeId(from)} -->|"${key}: ${counted(count, 'column')}"| ${nodeId(to)}`,
  );
  return joinBlocks([
    GENERATED,
    '# References between services',
    'An arrow points from a service whose tables contain ids to the service whose database owns them. A foreign key cannot span two databases; `npm run db:seed` and `npm run db:backup:verify` look up every id.',
    fenced('mermaid', ['flowchart LR', ...nodes, ...edges].map(indentBelowFirst)),
    '[DATABASE-STATUS.md](../../DATABASE-STATUS.md#references-between-services) lists the columns.',
  ]);
}

interface Edge {
  readonly from: string;
  readonly to: string;
  /** `User.id` */
  readonly key: string;
  readonly count: number;
}

function groupEdges(all: readonly Reference[]): ReadonlyMap<string, Edge> {
  const edges = new Map<string, Edge>();
  for (const { service: from, target } of all) {
    const key = `${target.model}.${target.field}`;
    const name = `${from} ${target.service} ${key}`;
    edges.set(name, { from, to: target.service, key, count: (edges.get(name)?.count ?? 0) + 1 });
  }
  return edges;
}

function entity(model: ModelSchema): readonly string[] {
  return [`${entityName(model.name)} {`, ...model.columns.map((column) => `  ${attribute(model, column)}`), '}'];
}

function attribute(model: ModelSchema, column: ColumnSchema): string {
  const isForeign = model.foreignKeys.some(({ columns }) => columns.includes(column.name));
  const keys = [column.isId ? 'PK' : '', isForeign ? 'FK' : '', column.isUnique && !column.isId ? 'UK' : ''];
  const note = column.ref === undefined ? '' : `"${column.ref.service}.${column.ref.model}.${column.ref.field}"`;
  return [word(column.sqlType), attributeName(column.name), keys.filter((key) => key !== '').join(', '), note]
    .filter((part) => part !== '')
    .join(' ');
}

function relation(model: ModelSchema, key: ForeignKey): string {
  const parent = key.isNullable ? '|o' : '||';
  const child = key.isUnique ? 'o|' : 'o{';
  const rule = key.onDelete.replace(/(?<=[a-z])(?=[A-Z])/, ' ').toLowerCase();
  return `${entityName(key.target.model)} ${parent}--${child} ${entityName(model.name)} : "${key.columns.map(word).join(', ')} (${rule})"`;
}

/** Quoted, because `Class`, `End` and `One` are keywords of Mermaid. */
function entityName(model: string): string {
  return `"${model}"`;
}

/** Mermaid reads an attribute named `pk`, `fk` or `uk`, in any case, as a key marker. */
function attributeName(column: string): string {
  return /^[pfu]k$/i.test(column) ? `${word(column)}_` : word(column);
}

/** Replaces what Mermaid does not accept in types and columns: `decimal(18,8)`, `double precision`, a leading digit. */
function word(text: string): string {
  return text.replace(/[^\w()[\]]+/g, '_').replace(/^(?=[^A-Za-z_])/, '_');
}

/** Prefixed, because `end`, `class` and `graph` are keywords of Mermaid's flowcharts. */
function nodeId(service: string): string {
  return `db_${service.replaceAll('-', '_')}`;
}

function indentBelowFirst(line: string, index: number): string {
  return index === 0 ? line : `  ${line}`;
}
