import { isRecord } from '../errors';

/** Formats of ids and times. The others (email, ipv4, uri) are personal data, or hold any text. */
const FORMATS = ['uuid', 'guid', 'cuid', 'cuid2', 'ulid', 'nanoid', 'date', 'date-time', 'time', 'duration'];

/** A pattern that accepts one of these accepts personal data. */
const FREE_TEXT = ['Ada Lovelace', 'ada@example.com', '12 Main Street, Cape Town'];

/**
 * Finds the values that a JSON Schema leaves open: strings that can hold free text, objects with unknown fields, and values of
 * any type. An event that has none cannot hold personal data by mistake.
 * @returns one phrase for each, such as `note: accepts free text`
 */
export function findOpenValues(schema: unknown, path = ''): readonly string[] {
  const problem = (what: string) => [`${path === '' ? 'data' : path}: ${what}`];
  if (!isRecord(schema)) return problem('accepts any value');
  const parts = ['anyOf', 'oneOf', 'allOf'].flatMap((word) => listOf(schema[word]));
  if (parts.length > 0) return parts.flatMap((part) => findOpenValues(part, path));
  if (schema['const'] !== undefined || schema['enum'] !== undefined) return [];
  switch (schema['type']) {
    case 'null':
    case 'boolean':
    case 'integer':
    case 'number':
      return [];
    case 'string':
      return stringProblems(schema).flatMap(problem);
    case 'array':
      return openItems(schema, path);
    case 'object':
      return openFields(schema, path);
    default:
      return problem('accepts any value, or refers to itself');
  }
}

function stringProblems(schema: Readonly<Record<string, unknown>>): readonly string[] {
  const { format, pattern } = schema as { readonly format?: unknown; readonly pattern?: unknown };
  if (typeof format === 'string') return FORMATS.includes(format) ? [] : [`has the format ${format}`];
  if (typeof pattern !== 'string') return ['accepts free text'];
  const accepted = FREE_TEXT.find((text) => new RegExp(pattern, 'u').test(text));
  return accepted === undefined ? [] : [`accepts text such as "${accepted}"`];
}

function openItems(schema: Readonly<Record<string, unknown>>, path: string): readonly string[] {
  const { items, prefixItems } = schema as { readonly items?: unknown; readonly prefixItems?: unknown };
  const listed = listOf(prefixItems).flatMap((item, at) => findOpenValues(item, `${path}[${at}]`));
  if (items === false || (items === undefined && prefixItems !== undefined)) return listed;
  return [...listed, ...findOpenValues(items, `${path}[]`)];
}

function openFields(schema: Readonly<Record<string, unknown>>, path: string): readonly string[] {
  const { properties, propertyNames, additionalProperties } = schema as {
    readonly properties?: unknown;
    readonly propertyNames?: unknown;
    readonly additionalProperties?: unknown;
  };
  const inside = (field: string) => (path === '' ? field : `${path}.${field}`);
  const fields = Object.entries(isRecord(properties) ? properties : {});
  const open = fields.flatMap(([field, value]) => findOpenValues(value, inside(field)));
  if (additionalProperties === false) return open;
  if (propertyNames === undefined) return [...open, `${path === '' ? 'data' : path}: accepts unknown fields`];
  const names = findOpenValues(propertyNames, inside('(name of a field)'));
  return [...open, ...names, ...findOpenValues(additionalProperties, inside('*'))];
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
