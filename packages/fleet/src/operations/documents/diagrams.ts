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

/** One service's tables as a Mermaid entity-relationship diagram. */
export function renderDiagram({ name, models }: ServiceSchema): string {
  const entities = models.flatMap(entity);
  const relations = models.flatMap((model) => model.foreignKeys.map((key) => relation(model, key)));
  return joinBlocks([
    GENERATED,
    `# The tables of ${name}`,
    'PK: primary key, FK: foreign key, UK: unique. Lists end in `[]`; a comment names the field of another service.',
    fenced('mermaid', ['erDiagram', ...entities, ...relations].map(indentBelowFirst)),
    'More about them: [DATABASE-STATUS.md](../../DATABASE-STATUS.md); references to other services: [references.md](references.md).',
  ]);
}

/** Which service keeps ids of which other, as a Mermaid flowchart and a table. */
export function renderReferences(schemaModel: SchemaModel): string {
  const all = references(schemaModel);
  const nodes = schemaModel.services.map(({ name }) => `${nodeId(name)}["${name}"]`);
  const edges = [...groupEdges(all)].map(
    ([, { from, to, key, count }]) => `${nodeId(from)} -->|"${key}: ${counted(count, 'column')}"| ${nodeId(to)}`,
  );
  return joinBlocks([
    GENERATED,
    '# References between services',
    'Each arrow leads from a service that keeps ids to the service whose database owns them. No foreign key spans two databases; `azora-db check` looks every id up.',
    fenced('mermaid', ['flowchart LR', ...nodes, ...edges].map(indentBelowFirst)),
    'Column by column: [DATABASE-STATUS.md](../../DATABASE-STATUS.md#references-between-services).',
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

/** Quoted, because Mermaid reads `Class`, `End` or `One` as words of its own. */
function entityName(model: string): string {
  return `"${model}"`;
}

/** Mermaid takes a lone `pk`, `fk` or `uk`, in any case, for a key's mark. */
function attributeName(column: string): string {
  return /^[pfu]k$/i.test(column) ? `${word(column)}_` : word(column);
}

/** Types and columns may hold what Mermaid does not: `decimal(18,8)`, `double precision`, a leading digit. */
function word(text: string): string {
  return text.replace(/[^\w()[\]]+/g, '_').replace(/^(?=[^A-Za-z_])/, '_');
}

/** Prefixed, because `end`, `class` and `graph` are words of Mermaid's flowcharts. */
function nodeId(service: string): string {
  return `db_${service.replaceAll('-', '_')}`;
}

function indentBelowFirst(line: string, index: number): string {
  return index === 0 ? line : `  ${line}`;
}
