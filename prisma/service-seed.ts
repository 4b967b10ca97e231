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
import { Client, type Pool } from 'pg';

type AnySeed = ServiceSeed<{ readonly pool: Pool; close(): Promise<void> }>;

/** About ten thousand rows per transaction: the commit costs little, and so does repeating a block after a crash. */
const BLOCK_USERS = 1_000;

/** The advisory lock under which concurrent volume seeds write their blocks one at a time; "seed" in ASCII. */
const VOLUME_LOCK = 0x73656564;

/**
 * Lifts the server's limits for the seed's own session: two seeds at once wait for each other's blocks, and a block
 * may take long on a slow machine. Names only the limits that the server knows.
 */
const NO_LIMITS = `
  SELECT set_config(name, '0', false) FROM pg_settings
  WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`;

/** Inserts the missing fixed rows of a service, then advances its sequences beyond the ids of these rows. */
export async function seedBase(seed: AnySeed, url: string, context: SeedContext): Promise<void> {
  // Bulk inserts are slow by nature, so slow query warnings would not help.
  const handle = seed.open({ url, slowQueryMs: Number.POSITIVE_INFINITY });
  try {
    await seed.base(handle, context);
    await advanceSequences(handle.pool);
  } finally {
    await handle.close();
  }
}

/**
 * Writes the rows of `scale` thousand users in this service, one transaction per block of a thousand users, and skips
 * blocks that exist. Returns the number of rows written.
 */
export async function seedVolume(
  seed: AnySeed,
  url: string,
  { scale, now }: { readonly scale: number; readonly now: Date },
  onProgress: (detail: string) => void,
): Promise<number> {
  return withSeedClient(url, async (client) => {
    const version = await client.query<{ version: string }>('SELECT version()');
    const capabilities = capabilitiesOf(version.rows[0]?.version ?? '');
    let written = 0;
    for (let firstUser = 0; firstUser < scale * 1_000; firstUser += BLOCK_USERS) {
      written += await writeBlock(client, capabilities, seed, { firstUser, userCount: BLOCK_USERS, now });
      onProgress(`${(firstUser + BLOCK_USERS).toLocaleString('en')} users`);
    }
    await advanceSequences(client);
    return written;
  });
}

/** Writes all tables of the block or none. If its first row exists, an earlier run has written the whole block. */
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

/** Advances each sequence to the greatest id of its column when rows with explicit ids have passed it. */
async function advanceSequences(client: Pick<Pool, 'query'>): Promise<void> {
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
  // When the server dies, the client emits an error as well. The running query reports it.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query(NO_LIMITS);
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}
