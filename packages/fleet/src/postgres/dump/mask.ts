import { createHash } from 'node:crypto';
import { quoteIdentifier } from '@azora/db-core';
import type { ClientBase } from 'pg';
import type { ColumnSchema, SchemaModel } from '../../schema/schema-model';
import type { ColumnExpressions } from './rows';

const BLOCK_BYTES = 64;
/** Base types whose values identify nobody. They are kept, so that ledgers still balance. */
const KEPT = /^(decimal|numeric|integer|bigint|smallint|real|double precision|boolean|timestamp|tsvector)/;
const TEXT = /^(text|varchar|char|citext)/;

/** The journal of imports holds the values that rows had before; no model describes it. */
const JOURNAL_TABLE = 'imported_rows';
const WITHOUT_EARLIER_VALUES: ColumnExpressions = new Map([['before', 'NULL']]);

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

/** The SQL expressions that replace the columns of a table that are annotated `@pii`, `@secret` or `@mask`. */
export function maskOf(schemaModel: SchemaModel, service: string): (table: string) => ColumnExpressions {
  const models = schemaModel.services.find(({ name }) => name === service)?.models ?? [];
  const tables = new Map(
    models.map(({ table, columns }) => {
      const masked = columns.flatMap((column): [string, string][] => {
        const expression = maskExpression(column);
        return expression === undefined ? [] : [[column.name, expression]];
      });
      return [table, new Map(masked)];
    }),
  );
  return (table) => tables.get(table) ?? (table === JOURNAL_TABLE ? WITHOUT_EARLIER_VALUES : new Map());
}

/** Undefined for a column that stays as it is. Equal values give equal results, in every database. */
function maskExpression(column: ColumnSchema): string | undefined {
  const name = quoteIdentifier(column.name);
  const { sqlType, mask } = column;
  if (!column.isSecret && column.pii === undefined && mask === undefined) return undefined;
  if (mask !== undefined) return `CASE WHEN ${name} IS NULL THEN NULL ELSE (${mask}) END`;
  if (column.isSecret) return column.isNullable ? 'NULL' : fit(digest(name), sqlType);
  if (KEPT.test(sqlType)) return undefined;
  if (sqlType.endsWith('[]')) return unlessEmpty(name, `ARRAY(SELECT ${word('item')} FROM unnest(${name}) AS item)`);
  if (sqlType === 'jsonb') return unlessEmpty(name, emptyJson(name));
  if (sqlType === 'date') return unlessEmpty(name, `date '1940-01-01' + ${number(`${name}::text`, 23_000)}`);
  if (!TEXT.test(sqlType)) return undefined;
  return unlessEmpty(name, fit(pseudonym(name, column), sqlType));
}

function pseudonym(name: string, { pii, sqlType }: ColumnSchema): string {
  if (/\(2\)$/.test(sqlType)) return `chr(65 + ${number(name, 26)}) || chr(65 + ${number(`${name} || 'b'`, 26)})`;
  switch (pii) {
    case 'email':
      return `left(${digest(`lower(${name})`)}, 20) || '@masked.invalid'`;
    case 'phone':
      return `'+9' || lpad(${number(name, 1_000_000_000)}::text, 11, '0')`;
    case 'ip':
      return `concat_ws('.', 10, ${number(name, 256)}, ${number(`${name} || 'b'`, 256)}, ${number(`${name} || 'c'`, 256)})`;
    case 'avatar':
      return `'https://masked.invalid/' || left(${digest(name)}, 20)`;
    case 'name':
      return `'person ' || left(${digest(name)}, 12)`;
    default:
      return word(name);
  }
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
  return length === undefined ? expression : `left(${expression}, ${length})`;
}
