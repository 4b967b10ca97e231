import { isRecord } from '@azora/db-core';
import { defaultPrivileges } from '@azora/db-migrate';
import {
  type AnnotationProblem,
  isAnnotation,
  type ParsedComment,
  parseColumnComment,
  parseModelComment,
} from './annotations';
import type { ColumnSchema, ForeignKey, ModelSchema, SchemaProblem, ServiceSchema } from './model';
import {
  type BlockLines,
  type Datamodel,
  type Declaration,
  type PslField,
  type PslIndex,
  type PslModel,
  scanSchema,
} from './psl';

export interface BuiltService {
  readonly service: ServiceSchema;
  readonly problems: readonly SchemaProblem[];
}

type Report = (problem: AnnotationProblem) => void;

/** A field of a type that Prisma has no name for: its type in the database, then `[]` or `?`. */
const UNSUPPORTED = /^\w+\s+Unsupported\("((?:[^"\\]|\\.)*)"\)(\[\]|\?)?/;

/** The types that Prisma uses on PostgreSQL for fields without a native type. */
const SQL_TYPES: Readonly<Record<string, string>> = {
  String: 'text',
  Boolean: 'boolean',
  Int: 'integer',
  BigInt: 'bigint',
  Float: 'double precision',
  Decimal: 'decimal(65,30)',
  DateTime: 'timestamp(3)',
  Json: 'jsonb',
  Bytes: 'bytea',
};

const NOWHERE: Declaration = { line: 1, code: '', doc: [] };

/** Combines Prisma's data model with the comments of a schema. `text` is a schema that Prisma's parser accepted. */
export function buildService(name: string, file: string, text: string, datamodel: Datamodel): BuiltService {
  const problems: SchemaProblem[] = [];
  const report: Report = (problem) => problems.push({ file, ...problem });
  const { blocks, stray } = scanSchema(text);
  const block = (blockName: string): BlockLines =>
    blocks.find((it) => it.name === blockName) ?? { ...NOWHERE, kind: '', name: blockName, members: new Map() };
  const misplaced = [...stray, ...blocks.filter(({ kind }) => kind !== 'model' && kind !== 'view').flatMap(docOf)];
  for (const { line, text: note } of misplaced.filter((it) => isAnnotation(it.text))) {
    report({
      line,
      message: `"${note}" is attached to nothing: it must be in a /// line directly above a model or a column`,
    });
  }
  const service = {
    name,
    file,
    models: datamodel.models.map((model) => buildModel(model, datamodel, block(model.name), report)),
    enums: datamodel.enums.map((it) => ({
      name: it.name,
      type: it.dbName ?? it.name,
      values: it.values.map((value) => value.dbName ?? value.name),
      line: block(it.name).line,
    })),
  };
  return { service, problems };
}

function docOf(block: BlockLines) {
  return [...block.doc, ...[...block.members.values()].flatMap(({ doc }) => doc)];
}

function buildModel(model: PslModel, datamodel: Datamodel, block: BlockLines, report: Report): ModelSchema {
  const table = model.dbName ?? model.name;
  const own = datamodel.indexes.filter((index) => index.model === model.name);
  const { prose, annotations } = reported(parseModelComment(block.doc), report);
  const primaryKey = own.find(({ type }) => type === 'id')?.fields.map(({ name }) => name) ?? [];
  const keys = own
    .filter(({ type }) => type === 'id' || type === 'unique')
    .map(({ fields }) => fields.map((it) => it.name));
  const columns = buildColumns(model, datamodel, block, keys, primaryKey, report);
  const columnOf = (field: string): string => columns.find((it) => it.field === field)?.name ?? field;
  const named = (type: PslIndex['type'], suffix: string) =>
    own
      .filter((index) => index.type === type)
      .map((index) => ({ index, on: index.fields.map(({ name }) => columnOf(name)) }))
      .map(({ index, on }) => ({ name: index.dbName ?? constraintName(table, on, suffix), columns: on }));
  const { retain } = annotations;
  return {
    name: model.name,
    table,
    documentation: prose,
    line: block.line,
    columns,
    primaryKey: primaryKey.map(columnOf),
    uniques: named('unique', '_key'),
    indexes: named('normal', '_idx'),
    foreignKeys: model.fields.flatMap((field) => buildForeignKey(field, model, datamodel, keys)),
    erase: annotations.erase,
    retain: retain === undefined ? undefined : { ...retain, column: columnOf(retain.field) },
    grant: annotations.grant ?? defaultPrivileges(block.kind),
  };
}

/** The columns in the order of the lines. Prisma's parser leaves out columns of types that it does not know. */
function buildColumns(
  model: PslModel,
  datamodel: Datamodel,
  block: BlockLines,
  keys: readonly (readonly string[])[],
  primaryKey: readonly string[],
  report: Report,
): readonly ColumnSchema[] {
  return [...block.members].flatMap(([name, declaration]): ColumnSchema[] => {
    const field = model.fields.find((it) => it.name === name) ?? unsupportedField(name, declaration.code);
    const annotated = declaration.doc.find(({ text }) => isAnnotation(text));
    if (field === undefined || field.kind === 'object') {
      if (annotated !== undefined) report({ line: annotated.line, message: `${name} is a relation, not a column` });
      return [];
    }
    const { prose, annotations } = reported(parseColumnComment(declaration.doc), report);
    const enumeration = field.kind === 'enum' ? datamodel.enums.find((it) => it.name === field.type) : undefined;
    return [
      {
        field: name,
        name: field.dbName ?? name,
        documentation: prose,
        line: declaration.line,
        pslType: field.kind === 'unsupported' ? 'Unsupported' : field.type,
        nativeType: nativeText(field),
        sqlType: sqlType(field, enumeration?.dbName ?? undefined),
        enumValues: enumeration?.values.map((value) => value.dbName ?? value.name),
        isNullable: !field.isRequired,
        isList: field.isList,
        isId: primaryKey.includes(name),
        isUnique: isKey([name], keys),
        default: defaultText(field),
        isUpdatedAt: field.isUpdatedAt === true,
        ref: annotations.ref,
        subject: annotations.subject,
        pii: annotations.pii,
        isSecret: annotations.secret === true,
        mask: annotations.mask,
        derivedFrom: annotations['derived-from'],
      },
    ];
  });
}

function unsupportedField(name: string, code: string): PslField | undefined {
  const [, type, arity] = UNSUPPORTED.exec(code) ?? [];
  if (type === undefined) return undefined;
  const dbName = /@map\((?:name:\s*)?"([^"]+)"\)/.exec(code)?.[1];
  const field = { name, kind: 'unsupported', type, isList: arity === '[]', isRequired: arity !== '?' } as const;
  return dbName === undefined ? field : { ...field, dbName };
}

function buildForeignKey(
  field: PslField,
  model: PslModel,
  datamodel: Datamodel,
  keys: readonly (readonly string[])[],
): ForeignKey[] {
  const target = datamodel.models.find((it) => it.name === field.type);
  const { relationFromFields: from = [], relationToFields: to = [] } = field;
  if (from.length === 0 || target === undefined) return [];
  return [
    {
      field: field.name,
      columns: from.map((name) => columnName(model, name)),
      target: {
        model: target.name,
        table: target.dbName ?? target.name,
        columns: to.map((name) => columnName(target, name)),
      },
      onDelete: field.relationOnDelete ?? (field.isRequired ? 'Restrict' : 'SetNull'),
      isNullable: !field.isRequired,
      isUnique: isKey(from, keys),
    },
  ];
}

function columnName(model: PslModel, field: string): string {
  return model.fields.find((it) => it.name === field)?.dbName ?? field;
}

/** Whether these fields contain all fields of a key. */
function isKey(fields: readonly string[], keys: readonly (readonly string[])[]): boolean {
  return keys.some((key) => key.every((name) => fields.includes(name)));
}

/** Prisma's rule for names that the schema does not give, cut to PostgreSQL's 63 bytes. */
function constraintName(table: string, columns: readonly string[], suffix: string): string {
  return `${[table, ...columns].join('_').slice(0, 63 - suffix.length)}${suffix}`;
}

function reported<Annotations>(comment: ParsedComment<Annotations>, report: Report): ParsedComment<Annotations> {
  comment.problems.forEach(report);
  return comment;
}

function nativeText({ nativeType }: PslField): string | undefined {
  if (nativeType === undefined || nativeType === null) return undefined;
  const [name, args] = nativeType;
  return args.length === 0 ? name : `${name}(${args.join(',')})`;
}

function sqlType(field: PslField, enumType: string | undefined): string {
  const native = nativeText(field)?.toLowerCase();
  const base =
    native === 'doubleprecision' ? 'double precision' : (native ?? enumType ?? SQL_TYPES[field.type] ?? field.type);
  return field.isList ? `${base}[]` : base;
}

function defaultText(field: PslField): string | undefined {
  const value = field.default;
  if (value === undefined) return undefined;
  if (isCall(value)) return `${value.name}(${value.args.map((argument) => JSON.stringify(argument)).join(', ')})`;
  return field.kind === 'enum' && typeof value === 'string' ? value : JSON.stringify(value);
}

function isCall(value: unknown): value is { readonly name: string; readonly args: readonly unknown[] } {
  return isRecord(value) && 'name' in value && Array.isArray(value['args']);
}
