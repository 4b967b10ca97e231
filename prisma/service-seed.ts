import {
  capabilitiesOf,
  quoteIdentifier,
  quoteLiteral,
  type SeedBlock,
  type SeedContext,
  type ServerCapabilities,
  type ServiceSeed,
  writeRows,
} from '@azora/db-core';
import { Client } from 'pg';

type AnySeed = ServiceSeed<{ close(): Promise<void> }>;

/** About ten thousand rows a transaction: enough for its commit to cost nothing, little to do again after a crash. */
const BLOCK_USERS = 1_000;

/** Two seeds of volume at once take turns by the block; the number is "seed" in ASCII. */
const VOLUME_LOCK = 0x73656564;

/**
 * Lifts the limits of the app role for the seed's own session: two seeds at once wait for each other's blocks, and a block
 * may take long on a slow machine. Names only the limits that the server knows.
 */
const NO_LIMITS = `
  SELECT set_config(name, '0', false) FROM pg_settings
  WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`;

/** Inserts what is missing of the service's fixed rows, then brings its sequences past the ids that were given. */
export async function seedBase(seed: AnySeed, url: string, context: SeedContext): Promise<void> {
  // Rows in bulk are slow on a slow machine, and nobody waits for one of them.
  const handle = seed.open({ url, slowQueryMs: Number.POSITIVE_INFINITY });
  try {
    await seed.base(handle, context);
  } finally {
    await handle.close();
  }
  await withSeedClient(url, advanceSequences);
}

/**
 * Writes what `scale` thousand users own in this service, a block of a thousand users in one transaction; blocks that
 * are there already are passed over. Returns the rows written.
 */
export async function seedVolume(
  seed: AnySeed,
  url: string,
  { scale, now }: { readonly scale: number; readonly now: Date },
  tell: (detail: string) => void,
): Promise<number> {
  return withSeedClient(url, async (client) => {
    const version = await client.query<{ version: string }>('SELECT version()');
    const capabilities = capabilitiesOf(version.rows[0]?.version ?? '');
    let written = 0;
    for (let firstUser = 0; firstUser < scale * 1_000; firstUser += BLOCK_USERS) {
      written += await writeBlock(client, capabilities, seed, { firstUser, userCount: BLOCK_USERS, now });
      tell(`${(firstUser + BLOCK_USERS).toLocaleString('en')} users`);
    }
    await advanceSequences(client);
    return written;
  });
}

/** All tables of the block or none: a block whose first row exists was written whole by an earlier run. */
async function writeBlock(
  client: Client,
  capabilities: ServerCapabilities,
  seed: AnySeed,
  block: SeedBlock,
): Promise<number> {
  await client.query('BEGIN');
  try {
    await client.query('SELECT pg_advisory_xact_lock($1)', [VOLUME_LOCK]);
    let written = 0;
    if (!(await hasFirstRow(client, seed, block))) {
      for (const rows of seed.volume(block)) written += await writeRows(client, capabilities, rows);
    }
    await client.query('COMMIT');
    return written;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

async function hasFirstRow(client: Client, seed: AnySeed, block: SeedBlock): Promise<boolean> {
  const [table] = seed.volume(block);
  const [key] = table?.columns ?? [];
  const [id] = table?.rows[Symbol.iterator]().next().value ?? [];
  if (table === undefined || key === undefined || id === undefined) return true;
  const sql = `SELECT 1 FROM ${quoteIdentifier(table.table)} WHERE ${quoteIdentifier(key)} = $1`;
  return (await client.query(sql, [id])).rowCount !== 0;
}

/** Moves each sequence to the greatest id of its column where rows with ids of their own went past it. */
async function advanceSequences(client: Client): Promise<void> {
  const { rows } = await client.query<{ table: string; column: string; sequence: string }>(`
    SELECT owner.relname::text AS table, attribute.attname::text AS column, sequence.relname::text AS sequence
    FROM pg_class sequence
    JOIN pg_depend owned ON owned.objid = sequence.oid AND owned.classid = 'pg_class'::regclass
      AND owned.refclassid = 'pg_class'::regclass AND owned.deptype IN ('a', 'i')
    JOIN pg_class owner ON owner.oid = owned.refobjid
    JOIN pg_attribute attribute ON attribute.attrelid = owner.oid AND attribute.attnum = owned.refobjsubid
    WHERE sequence.relkind = 'S' AND sequence.relnamespace = 'public'::regnamespace
    ORDER BY sequence.relname`);
  for (const { table, column, sequence } of rows) {
    const name = quoteIdentifier(sequence);
    await client.query(`
      SELECT setval(${quoteLiteral(name)}::regclass, greatest.id)
      FROM (SELECT max(${quoteIdentifier(column)}) AS id FROM ${quoteIdentifier(table)}) AS greatest, ${name} AS sequence
      WHERE greatest.id > sequence.last_value OR (greatest.id = sequence.last_value AND NOT sequence.is_called)`);
  }
}

async function withSeedClient<Result>(url: string, work: (client: Client) => Promise<Result>): Promise<Result> {
  const client = new Client({ connectionString: url, application_name: 'azora-seed' });
  // A server that dies mid-query also emits an error; the query that was running reports it.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query(NO_LIMITS);
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}
