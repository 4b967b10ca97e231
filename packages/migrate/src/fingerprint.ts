import { createHash } from 'node:crypto';
import { quoteLiteral } from '@azora/db-core/quote';
import type { ClientBase, QueryResult } from 'pg';
import { CATALOG_OBJECTS } from './catalog-objects';
import { HISTORY } from './history';
import { PIN_SESSION, UNPIN_SESSION } from './pinned-session';
import { settledWording } from './settled-wording';

/** The beginning of the comment on the history table that holds the fingerprint; the number is the query's version. */
const MARK = 'azora:4';

const LINE = `concat_ws(' ', kind, object, definition)`;

/** Lines whose wording may change with a dump and restore. A function whose body is a string keeps it. */
const UNSETTLED = `kind <> 'comment' AND definition ~ ' (AND|OR) |::character varying'
  AND NOT (kind = 'function' AND definition ~ 'AS \\$(function|procedure)')`;

/** `settled` is a hash of most of the catalog, `unsettled` the rest; `stored` is the fingerprint after the last migration. */
const COMPARE = `
  SELECT concat_ws(' ', '${MARK}', current_setting('server_version_num')::int / 10000) AS mark, settled, unsettled,
         obj_description(to_regclass('${HISTORY}'), 'pg_class') AS stored
  FROM (
    SELECT encode(sha256(convert_to(string_agg(line, E'\\n' ORDER BY line COLLATE "C") FILTER (WHERE NOT changes), 'UTF8')), 'hex')
             AS settled,
           array_agg(line) FILTER (WHERE changes) AS unsettled
    FROM (SELECT ${LINE} AS line, ${UNSETTLED} AS changes FROM (${CATALOG_OBJECTS}) AS objects) AS lines
  ) AS hashed`;

interface Row {
  readonly mark: string;
  readonly settled: string | null;
  readonly unsettled: readonly string[] | null;
  readonly stored: string | null;
}

interface Compared {
  readonly mark: string;
  readonly live: string;
  readonly stored: string | null;
}

/** A hash of all objects in the schemas of users that a migration can make. */
export async function catalogFingerprint(client: ClientBase): Promise<string> {
  return (await compare(client)).live;
}

/** Stores the catalog's fingerprint as the comment on the history table, in the caller's transaction. */
export async function storeFingerprint(client: ClientBase): Promise<void> {
  const { mark, live } = await compare(client);
  await client.query(`COMMENT ON TABLE ${HISTORY} IS ${quoteLiteral(`${mark} ${live}`)}`);
}

/** Removes the fingerprint, in the caller's transaction: until the next one is stored, nothing is known about drift. */
export async function removeFingerprint(client: ClientBase): Promise<void> {
  await client.query(`COMMENT ON TABLE ${HISTORY} IS NULL`);
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
 * another major version of PostgreSQL or another version of this toolkit stored it: they word definitions differently.
 */
export async function hasDrifted(client: ClientBase): Promise<boolean | undefined> {
  const compared = await compare(client);
  const stored = storedOf(compared);
  return stored === undefined ? undefined : stored !== compared.live;
}

function storedOf({ mark, stored }: Compared): string | undefined {
  return stored?.startsWith(`${mark} `) ? stored.slice(mark.length + 1) : undefined;
}

/** The statement stays prepared for the next migration of the session: planning takes longer than running it. */
const STATEMENT = 'azora_fingerprint';

/** The statements are one round trip and one transaction, and the last restores the caller's settings. */
async function compare(client: ClientBase): Promise<Compared> {
  const { rowCount } = await client.query(`SELECT FROM pg_prepared_statements WHERE name = '${STATEMENT}'`);
  const prepare = rowCount === 0 ? `PREPARE ${STATEMENT} AS ${COMPARE};` : '';
  const results: unknown = await client.query(`${PIN_SESSION}; ${prepare} EXECUTE ${STATEMENT}; ${UNPIN_SESSION}`);
  const row = (results as readonly QueryResult<Row>[]).at(-2)?.rows[0];
  if (row === undefined) throw new Error('an aggregate returned no row');
  const { mark, stored, settled, unsettled } = row;
  const lines = (unsettled ?? []).map(settledWording).sort();
  return {
    mark,
    stored,
    live: createHash('sha256')
      .update([settled, ...lines].join('\n'))
      .digest('hex'),
  };
}
