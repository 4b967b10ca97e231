import { createHash } from 'node:crypto';
import { quoteIdentifier } from '@azora/db-core';
import type { ClientBase } from 'pg';

/** A column that a masked set does not hold as it is. */
export interface MaskedColumn {
  readonly name: string;
  /** `varchar(200)`, `text[]`, `jsonb`. */
  readonly sqlType: string;
  readonly isNullable: boolean;
  readonly isSecret: boolean;
  /** The kind of personal data. */
  readonly kind: string | undefined;
  /** What the schema says shall stand in its place. */
  readonly mask: string | undefined;
}

const BLOCK_BYTES = 64;
/** Base types whose values name nobody by themselves and are added up: they stay, so that ledgers still balance. */
const KEPT = /^(decimal|numeric|integer|bigint|smallint|real|double precision|boolean|timestamp|tsvector)/;
const TEXT = /^(text|varchar|char|citext)/;

/** Gives the session the key, as two settings of this transaction: no statement's text holds it. */
export async function prepareMask(client: ClientBase, key: string): Promise<void> {
  const block = Buffer.alloc(BLOCK_BYTES);
  createHash('sha256').update(key).digest().copy(block);
  const pad = (byte: number) => Buffer.from(block.map((value) => value ^ byte)).toString('hex');
  await client.query(`SELECT set_config('azora.mask_inner', $1, true), set_config('azora.mask_outer', $2, true)`, [
    pad(0x36),
    pad(0x5c),
  ]);
}

/** SQL for what stands in the column's place; undefined when it stays as it is. The same value gives the same, in every database. */
export function maskExpression(column: MaskedColumn): string | undefined {
  const name = quoteIdentifier(column.name);
  const { sqlType, mask } = column;
  if (mask !== undefined) return `CASE WHEN ${name} IS NULL THEN NULL ELSE (${mask}) END`;
  if (column.isSecret) return column.isNullable ? 'NULL' : fit(digest(name), sqlType);
  if (KEPT.test(sqlType)) return undefined;
  if (sqlType.endsWith('[]')) return whereThere(name, `ARRAY(SELECT ${word('item')} FROM unnest(${name}) AS item)`);
  if (sqlType === 'jsonb') return whereThere(name, emptyJson(name));
  if (sqlType === 'date') return whereThere(name, `date '1940-01-01' + ${number(`${name}::text`, 23_000)}`);
  if (!TEXT.test(sqlType)) return undefined;
  return whereThere(name, fit(pseudonym(name, column), sqlType));
}

function pseudonym(name: string, { kind, sqlType }: MaskedColumn): string {
  if (/\(2\)$/.test(sqlType)) return `chr(65 + ${number(name, 26)}) || chr(65 + ${number(`${name} || 'b'`, 26)})`;
  switch (kind) {
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

/** HMAC-SHA-256 (RFC 2104) as hexadecimal digits, of functions that every server has. */
function digest(value: string): string {
  const setting = (name: string) => `decode(current_setting('azora.mask_${name}'), 'hex')`;
  return `encode(sha256(${setting('outer')} || sha256(${setting('inner')} || convert_to(${value}, 'UTF8'))), 'hex')`;
}

/** A number from 0 to below `limit`. */
function number(value: string, limit: number): string {
  return `(('x' || left(${digest(value)}, 8))::bit(32)::bigint % ${limit})::int`;
}

function emptyJson(name: string): string {
  return `CASE jsonb_typeof(${name}) WHEN 'object' THEN '{}'::jsonb WHEN 'array' THEN '[]'::jsonb
    WHEN 'string' THEN '"masked"'::jsonb ELSE ${name} END`;
}

/** No value stays no value, and an empty text an empty one. */
function whereThere(name: string, expression: string): string {
  return `CASE WHEN ${name} IS NULL OR ${name}::text = '' THEN ${name} ELSE ${expression} END`;
}

function fit(expression: string, sqlType: string): string {
  const length = /\((\d+)\)$/.exec(sqlType)?.[1];
  return length === undefined ? expression : `left(${expression}, ${length})`;
}
