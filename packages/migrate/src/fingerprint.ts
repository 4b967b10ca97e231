import { quoteLiteral } from '@azora/db-core/quote';
import type { ClientBase, QueryResult } from 'pg';
import { CATALOG_OBJECTS } from './catalog-objects';
import { HISTORY } from './history';

/** The beginning of the comment on the history table that holds the fingerprint; the number is the query's version. */
const MARK = 'azora:3';

const LINE = `concat_ws(' ', kind, object, definition)`;
const HASH = `encode(sha256(convert_to(coalesce(string_agg(${LINE}, E'\\n' ORDER BY ${LINE} COLLATE "C"), ''), 'UTF8')), 'hex')`;

/** `live` is the fingerprint of the catalog now, `stored` the one after the last migration. */
const COMPARE = `
  SELECT concat_ws(' ', '${MARK}', current_setting('server_version_num')::int / 10000) AS mark,
         (SELECT ${HASH} FROM (${CATALOG_OBJECTS}) AS objects) AS live,
         obj_description(to_regclass('${HISTORY}'), 'pg_class') AS stored`;

interface Compared {
  readonly mark: string;
  readonly live: string;
  readonly stored: string | null;
}

/** A hash of all objects in schema public that a migration can make. */
export async function catalogFingerprint(client: ClientBase): Promise<string> {
  return (await compare(client)).live;
}

/** Stores the catalog's fingerprint as the comment on the history table, in the caller's transaction. */
export async function storeFingerprint(client: ClientBase): Promise<void> {
  const { mark, live } = await compare(client);
  await client.query(`COMMENT ON TABLE ${HISTORY} IS ${quoteLiteral(`${mark} ${live}`)}`);
}

/**
 * The fingerprint that the last migration stored. Undefined when there is none, or when another version of the server or of
 * this query stored it.
 */
export async function readStoredFingerprint(client: ClientBase): Promise<string | undefined> {
  return storedOf(await compare(client));
}

/**
 * Whether the catalog differs from its state after the last migration. Undefined when no fingerprint is stored, or when
 * another major version of PostgreSQL stored it: the wording of definitions differs between versions.
 */
export async function hasDrifted(client: ClientBase): Promise<boolean | undefined> {
  const compared = await compare(client);
  const stored = storedOf(compared);
  return stored === undefined ? undefined : stored !== compared.live;
}

function storedOf({ mark, stored }: Compared): string | undefined {
  return stored?.startsWith(`${mark} `) ? stored.slice(mark.length + 1) : undefined;
}

/**
 * With an empty search path, every definition includes its schema names. The three statements are one round trip, and the
 * last restores the caller's path.
 */
async function compare(client: ClientBase): Promise<Compared> {
  const results: unknown = await client.query(`
    SELECT set_config('azora.search_path', current_setting('search_path'), true), set_config('search_path', '', true);
    ${COMPARE};
    SELECT set_config('search_path', current_setting('azora.search_path'), true)`);
  const [, compared] = results as readonly QueryResult<Compared>[];
  const row = compared?.rows[0];
  if (row === undefined) throw new Error('a SELECT without FROM returned no row');
  return row;
}
