import { createHash, createHmac, randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { type SchemaModel, withClient } from '@azora/db-fleet';
import type { TestDatabase } from '@azora/db-testkit';
import type { Client } from 'pg';

type ServiceSchema = SchemaModel['services'][number];
type ModelSchema = ServiceSchema['models'][number];
type ColumnSchema = ModelSchema['columns'][number];

/** A text that a masked set must not contain, and where it was written. */
export interface Canary {
  readonly place: string;
  readonly text: string;
}

/** Columns for shorter values, such as the code of a country, get no canary. */
const MIN_COLUMN_LENGTH = 16;
/** Shorter values appear by chance. */
const MIN_TEXT_LENGTH = 9;
const COUNTED = /^(decimal|numeric|integer|bigint|smallint|real|double precision|boolean|timestamp|date|tsvector)/;

/**
 * Writes a text of its own into every column of one row of each table that holds text, JSON or bytes and is annotated
 * `@pii` or `@secret`, and copies of it into the columns that may hold copies: those annotated `@derived-from`, JSON, and
 * hashes of a fixed length. Triggers see the writes where they accept them, so that they derive what they derive. A column that
 * accepts no such text counts with the values that it has. Returns the texts, and the annotated columns that have none.
 */
export async function plantCanaries(
  database: TestDatabase,
  { name: service, models }: ServiceSchema,
): Promise<{ readonly canaries: readonly Canary[]; readonly empty: readonly string[] }> {
  return withClient(database.target.admin, async (client) => {
    const planted: Planted[] = [];
    for (const model of models) {
      if ((await client.query(`SELECT FROM "${model.table}" LIMIT 1`)).rowCount === 0) continue;
      planted.push(...(await plantInto(client, model)));
    }
    const placeOf = ({ model, column }: Planted) => `${service}.${model.table}.${column.name}`;
    return {
      canaries: planted.flatMap((it) => it.texts.map((text) => ({ place: placeOf(it), text }))),
      empty: planted.filter(({ column, texts }) => isSource(column) && texts.length === 0).map(placeOf),
    };
  });
}

interface Planted {
  readonly model: ModelSchema;
  readonly column: ColumnSchema;
  readonly texts: readonly string[];
}

/** Sources first, so that copies of the last one can follow. */
async function plantInto(client: Client, model: ModelSchema): Promise<readonly Planted[]> {
  const planted: Planted[] = [];
  const wanted = model.columns.filter(isWanted);
  let copied = newText();
  for (const column of [...wanted.filter(isSource), ...wanted.filter((it) => !isSource(it))]) {
    const text = await plant(client, model, column, isSource(column) ? newText() : copied);
    if (text !== undefined) copied = text;
    planted.push({ model, column, texts: text === undefined ? await readTexts(client, model, column) : [text] });
  }
  return planted;
}

function newText(): string {
  return `canary${randomBytes(8).toString('hex')}`;
}

async function readTexts(client: Client, { table }: ModelSchema, { name, sqlType }: ColumnSchema) {
  if (!/^(text|varchar|char)\b/.test(sqlType) || sqlType.endsWith('[]')) return [];
  const { rows } = await client.query<{ text: string }>(
    `SELECT DISTINCT "${name}" AS text FROM "${table}" WHERE length("${name}") >= $1`,
    [MIN_TEXT_LENGTH],
  );
  return rows.map(({ text }) => text);
}

/** All hashes of 64 digits or 32 bytes that the tables hold, which would confirm a guess of the value. */
export async function readHashes(database: TestDatabase, { name: service, models }: ServiceSchema): Promise<Canary[]> {
  return withClient(database.target.admin, async (client) => {
    const found: Canary[] = [];
    for (const { table, columns } of models) {
      for (const { name, sqlType, mask } of columns) {
        // Its own name as the mask declares that the value may be seen.
        if (mask === name || !/^(text|varchar|char|bytea)/.test(sqlType) || sqlType.endsWith('[]')) continue;
        const text = sqlType === 'bytea' ? `encode("${name}", 'hex')` : `"${name}"::text`;
        const { rows } = await client.query<{ text: string }>(
          `SELECT DISTINCT ${text} AS text FROM "${table}" WHERE ${text} ~ '^[0-9a-f]{64}$' AND ${text} !~ '^(.)\\1*$'`,
        );
        found.push(...rows.map((row) => ({ place: `${service}.${table}.${name} (hash)`, text: row.text })));
      }
    }
    return found;
  });
}

/** The canaries that the files of a set contain: plain in any case, encoded, or hashed without a key. */
export async function findCanaries(directory: string, canaries: readonly Canary[]): Promise<readonly string[]> {
  const found: string[] = [];
  const needles = canaries.flatMap(({ place, text }) => formsOf(text).map((form) => ({ place, ...form })));
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const bytes = await readFile(path.join(entry.parentPath, entry.name));
    const text = (entry.name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('latin1');
    const lower = text.toLowerCase();
    for (const { place, form, needle, isCased } of needles) {
      if ((isCased ? text : lower).includes(needle)) found.push(`${place}: ${form} in ${entry.name}`);
    }
  }
  return found;
}

function formsOf(text: string) {
  const hash = (algorithm: string) => createHash(algorithm).update(text).digest();
  const bytes = [
    ['sha256', hash('sha256')],
    ['sha1', hash('sha1')],
    ['md5', hash('md5')],
    ['hmac', createHmac('sha256', '').update(text).digest()],
    ['', Buffer.from(text)],
  ] as const;
  return [
    { form: 'plain', needle: text.toLowerCase(), isCased: false },
    { form: 'reversed', needle: [...text].reverse().join('').toLowerCase(), isCased: false },
    ...bytes.flatMap(([form, value]) => [
      { form: `${form} hex`, needle: value.toString('hex'), isCased: false },
      // The last digits depend on what follows.
      { form: `${form} base64`, needle: value.toString('base64').replace(/..?=*$/, ''), isCased: true },
    ]),
  ];
}

function isSource({ pii, isSecret }: ColumnSchema): boolean {
  return pii !== undefined || isSecret;
}

function isWanted({ sqlType, enumValues, pii, isSecret, derivedFrom, mask, isId, name }: ColumnSchema): boolean {
  const length = /\((\d+)\)$/.exec(sqlType)?.[1];
  if (enumValues !== undefined || isId || mask === name || COUNTED.test(sqlType)) return false;
  if (length !== undefined && Number(length) < MIN_COLUMN_LENGTH) return false;
  if (pii !== undefined || isSecret || derivedFrom !== undefined) return true;
  return /^(jsonb|bytea|char\(64\))/.test(sqlType);
}

/** Writes the first form of the text that the column accepts, with its triggers or else without them. */
async function plant(
  client: Client,
  { table }: ModelSchema,
  { name, sqlType, pii }: ColumnSchema,
  text: string,
): Promise<string | undefined> {
  const sql = `UPDATE "${table}" SET "${name}" = $1 WHERE ctid = (SELECT ctid FROM "${table}" LIMIT 1)`;
  for (const role of ['origin', 'replica']) {
    for (const { value, canary } of valuesOf(text, sqlType, pii)) {
      try {
        await client.query(`BEGIN; SET LOCAL session_replication_role = ${role}; SET CONSTRAINTS ALL IMMEDIATE`);
        await client.query(sql, [value]);
        await client.query('COMMIT');
        return canary;
      } catch {
        await client.query('ROLLBACK');
      }
    }
  }
  return undefined;
}

function valuesOf(text: string, sqlType: string, pii: string | undefined) {
  const hash = createHash('sha256').update(text).digest();
  const plain = (value: unknown) => ({ value, canary: text });
  if (sqlType.endsWith('[]')) return [plain([text])];
  if (sqlType === 'bytea') return [plain(hash), plain(Buffer.from(text))];
  if (sqlType.startsWith('json')) {
    return [{ canary: text }, [text], [{ canary: text }], text].map((value) => plain(JSON.stringify(value)));
  }
  if (pii === 'ip') return [plain('2001:db8:85a3:1234:5678:8a2e:370:7334'), plain('2001:db8:85a3:1234::/64')].map(own);
  if (pii === 'phone')
    return [own(plain(`+447${parseInt(text.slice(6, 16), 16).toString().padStart(12, '1').slice(0, 11)}`))];
  const forms = [text, `${text}@example.org`, `https://${text}.example/`, `/${text}`, hash.toString('hex')];
  return forms.map(plain);
}

/** A value that does not contain the text is searched itself. */
function own({ value }: { readonly value: unknown }) {
  return { value, canary: String(value) };
}
