import type { PslField } from './psl';

/** A field's line whose type Prisma has no name for: its type in the database, then `[]` or `?`. */
export const UNSUPPORTED = /^\w+\s+Unsupported\("((?:[^"\\]|\\.)*)"\)(\[\]|\?)?/;

/** What Prisma makes of its scalar types on PostgreSQL where the schema names no native type. */
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

export function nativeText({ nativeType }: PslField): string | undefined {
  if (nativeType === undefined || nativeType === null) return undefined;
  const [name, args] = nativeType;
  return args.length === 0 ? name : `${name}(${args.join(',')})`;
}

export function sqlType(field: PslField, enumType: string | undefined): string {
  const native = nativeText(field)?.toLowerCase();
  const base =
    native === 'doubleprecision' ? 'double precision' : (native ?? enumType ?? SQL_TYPES[field.type] ?? field.type);
  return field.isList ? `${base}[]` : base;
}

export function defaultText(field: PslField): string | undefined {
  const value = field.default;
  if (value === undefined) return undefined;
  if (isCall(value)) return `${value.name}(${value.args.map((argument) => JSON.stringify(argument)).join(', ')})`;
  return field.kind === 'enum' && typeof value === 'string' ? value : JSON.stringify(value);
}

function isCall(value: unknown): value is { readonly name: string; readonly args: readonly unknown[] } {
  return typeof value === 'object' && value !== null && 'name' in value && 'args' in value && Array.isArray(value.args);
}
