import { createHash } from 'node:crypto';
import { quoteIdentifier } from '@azora/db-core';
import { HISTORY } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import { maskTreatment } from '../../schema/masking';
import type { ColumnSchema, SchemaModel } from '../../schema/schema-model';
import type { ColumnExpressions } from './rows';
import type { SnapshotTable } from './snapshot';

const BLOCK_BYTES = 64;
const HASH_DIGITS = 64;

/** The mask of one table. */
export interface TableMask {
  readonly columns: ColumnExpressions;
  /** False for a table that no model describes, such as the journal of imports: nothing tells what its columns hold. */
  readonly keepsRows: boolean;
}

/** The error of a failed migration may quote values. */
const MASK_OF_HISTORY: TableMask = { columns: new Map([['logs', 'NULL']]), keepsRows: true };
const WITHOUT_ROWS: TableMask = { columns: new Map(), keepsRows: false };

/** Stores the key in two settings of this transaction, so that the text of no statement contains it. */
export async function prepareMask(client: ClientBase, key: string): Promise<void> {
  const block = Buffer.alloc(BLOCK_BYTES);
  createHash('sha256').update(key).digest().copy(block);
  const pad = (byte: number) => Buffer.from(block.map((value) => value ^ byte)).toString('hex');
  await client.query(`SELECT set_config('azora.mask_inner', $1, true), set_config('azora.mask_outer', $2, true)`, [
    pad(0x36),
    pad(0x5c),
  ]);
}

/** The masks of the tables of a service, by the table of the schema model that a table is, or is a partition of. */
export function maskOf(schemaModel: SchemaModel, service: string): (root: SnapshotTable['root']) => TableMask {
  const models = schemaModel.services.find(({ name }) => name === service)?.models ?? [];
  const masks = new Map(models.map(({ table, columns }) => [`public.${table}`, maskOfColumns(columns)]));
  masks.set(HISTORY, MASK_OF_HISTORY);
  return ({ schema, name }) => masks.get(`${schema}.${name}`) ?? WITHOUT_ROWS;
}

function maskOfColumns(columns: readonly ColumnSchema[]): TableMask {
  const masked = columns.flatMap((column): [string, string][] => {
    const expression = maskExpression(column, columns);
    return expression === undefined ? [] : [[column.name, expression]];
  });
  return { columns: new Map(masked), keepsRows: true };
}

/** Undefined for a column that stays as it is. Equal values give equal results, in every database. */
function maskExpression(column: ColumnSchema, columns: readonly ColumnSchema[]): string | undefined {
  const name = quoteIdentifier(column.name);
  const { field, sqlType, mask } = column;
  switch (maskTreatment(column)) {
    case 'keep':
      return undefined;
    case 'expression':
      return `CASE WHEN ${name} IS NULL THEN NULL ELSE (${withMasked(mask ?? 'NULL', column, columns)}) END`;
    case 'null':
      return 'NULL';
    case 'impossible':
      throw new Error(`checkService accepted ${field}, which has no mask`);
    default:
      if (!sqlType.endsWith('[]')) return unlessEmpty(name, replacement(name, sqlType, column));
      return unlessEmpty(
        name,
        `ARRAY(SELECT ${replacement('item', sqlType.slice(0, -2), column)} FROM unnest(${name}) AS item)`,
      );
  }
}

/** Replaces `masked(column)` by the mask of that column, and for the column itself by what a derived value gets. */
function withMasked(mask: string, { name }: ColumnSchema, columns: readonly ColumnSchema[]): string {
  return mask.replace(/\bmasked\((\w+)\)/g, (_, of: string) => {
    const other = columns.find((column) => column.name === of && of !== name);
    return other === undefined ? `(${derivedText(of)})` : `(${maskExpression(other, columns) ?? of})`;
  });
}

function replacement(value: string, type: string, column: ColumnSchema): string {
  if (type === 'jsonb') return emptyJson(value);
  if (type === 'json') return `(${emptyJson(`${value}::jsonb`)})::json`;
  if (type === 'date') return `date '1940-01-01' + ${number(`${value}::text`, 23_000)}`;
  if (type === 'bytea') return hashedBytes(value);
  if (type === 'uuid') return `left(${digest(`${value}::text`)}, 32)::uuid`;
  if (type === 'inet') return `(${address(`${value}::text`)})::inet`;
  if (column.isSecret) return fit(digest(value), type);
  return fit(column.pii === undefined ? derivedText(value) : pseudonym(value, column), type);
}

function pseudonym(name: string, { pii, sqlType }: ColumnSchema): string {
  if (/\(2\)$/.test(sqlType)) return `chr(65 + ${number(name, 26)}) || chr(65 + ${number(`${name} || 'b'`, 26)})`;
  switch (pii) {
    case 'email':
      return `left(${digest(`lower(${name})`)}, 20) || '@masked.invalid'`;
    case 'phone':
      return `'+9' || lpad(${number(name, 1_000_000_000)}::text, 11, '0')`;
    case 'ip':
      return address(name);
    case 'avatar':
      return `'https://masked.invalid/' || left(${digest(name)}, 20)`;
    case 'name':
      return `'person ' || left(${digest(name)}, 12)`;
    default:
      return word(name);
  }
}

function address(value: string): string {
  return `concat_ws('.', 10, ${number(value, 256)}, ${number(`${value} || 'b'`, 256)}, ${number(`${value} || 'c'`, 256)})`;
}

/** A hash in hexadecimal digits becomes a keyed hash of the same length, so that links between hashes hold. */
function derivedText(value: string): string {
  const digits = `repeat(${digest(value)}, length(${value}) / ${HASH_DIGITS} + 1)`;
  return `CASE WHEN ${value} ~ '^[0-9A-Fa-f]{32,}$' THEN left(${digits}, length(${value})) ELSE ${word(value)} END`;
}

/** Keyed bytes of the same length. */
function hashedBytes(value: string): string {
  const digits = `repeat(${digest(`encode(${value}, 'hex')`)}, octet_length(${value}) * 2 / ${HASH_DIGITS} + 1)`;
  return `decode(left(${digits}, octet_length(${value}) * 2), 'hex')`;
}

function word(value: string): string {
  return `'masked ' || left(${digest(value)}, 12)`;
}

/** HMAC-SHA-256 (RFC 2104) in hexadecimal digits, from functions that every server has. */
function digest(value: string): string {
  const setting = (name: string) => `decode(current_setting('azora.mask_${name}'), 'hex')`;
  return `encode(sha256(${setting('outer')} || sha256(${setting('inner')} || convert_to(${value}, 'UTF8'))), 'hex')`;
}

/** A number from 0 up to, but not including, `limit`. */
function number(value: string, limit: number): string {
  return `(('x' || left(${digest(value)}, 8))::bit(32)::bigint % ${limit})::int`;
}

function emptyJson(name: string): string {
  return `CASE jsonb_typeof(${name}) WHEN 'object' THEN '{}'::jsonb WHEN 'array' THEN '[]'::jsonb
    WHEN 'string' THEN '"masked"'::jsonb ELSE ${name} END`;
}

/** NULL stays NULL, and an empty text stays empty. */
function unlessEmpty(name: string, expression: string): string {
  return `CASE WHEN ${name} IS NULL OR ${name}::text = '' THEN ${name} ELSE ${expression} END`;
}

function fit(expression: string, sqlType: string): string {
  const length = /\((\d+)\)$/.exec(sqlType)?.[1];
  if (length === undefined) return expression;
  // A char has its full length when it is restored, and the set must have the same text.
  return `${sqlType.startsWith('char') ? 'rpad' : 'left'}(${expression}, ${length})`;
}
