// The CPU time of the server for each transfer: ours, the function of pgledger, and the least that a transfer can be. One session
// each sends the transfers one after the other; its process in /proc has the time. Run by mint.bench.js.
const { existsSync, readFileSync } = require('node:fs');
const { randomUUID } = require('node:crypto');
const { TICKS, ticksOf, withDatabase } = require('./measure.js');

const TRANSFERS = 16_000;
/** The ways take turns, so that other load on the machine affects all of them equally. */
const TURNS = 16;
const ACCOUNTS = 1_000;
const BODY_HASH = '0'.repeat(64);

/** Locks two rows in order, updates them and inserts one row with a unique key. */
const LEAST = `
  CREATE TABLE accounts (id text PRIMARY KEY, balance numeric(18,8) NOT NULL);
  CREATE TABLE transfers (key text PRIMARY KEY, from_id text NOT NULL, to_id text NOT NULL, amount numeric(18,8) NOT NULL,
    created_at timestamptz NOT NULL);
  CREATE FUNCTION least_transfer(transfer_key text, payer text, receiver text, moved numeric) RETURNS void LANGUAGE plpgsql AS $$
  BEGIN
    PERFORM FROM accounts WHERE id IN (payer, receiver) ORDER BY id FOR NO KEY UPDATE;
    UPDATE accounts SET balance = balance + CASE id WHEN receiver THEN moved ELSE -moved END WHERE id IN (payer, receiver);
    INSERT INTO transfers VALUES (transfer_key, payer, receiver, moved, clock_timestamp());
  END
  $$;`;

/**
 * The rows of the result table. `wallets` are ids of wallets with money. Returns none for a server whose processes this machine
 * does not have, and prints the reason. `count` gets the number of our transfers.
 */
async function cpuRows({ server, app, wallets, count }) {
  const { Client } = require('pg');
  const ways = {
    ours: { url: app, ids: wallets, text: 'SELECT * FROM transfer_money($1, $2, $3, $4, $5, $6, NULL)', values: ours },
  };
  const scratch = await createScratch(server, 'least', async (client) => {
    await client.query(LEAST);
    await client.query('INSERT INTO accounts SELECT unnest($1::text[]), 1000000', [wallets]);
    return wallets;
  });
  ways.least = {
    ...scratch,
    text: 'SELECT least_transfer($1, $2, $3, $4)',
    values: (from, to) => [randomUUID(), from, to, '0.01'],
  };
  const file = process.env.PGLEDGER_SQL;
  if (file === undefined) console.log('Skipped pgledger: PGLEDGER_SQL does not name the file with its SQL.');
  else ways.pgledger = await givenPgledger(server, readFileSync(file, 'utf8'));
  try {
    for (const way of Object.values(ways)) await connect(way, Client);
    const remote = Object.values(ways).find(({ pid }) => !existsSync(`/proc/${pid}/stat`));
    if (remote !== undefined) {
      console.log('Skipped the CPU of the server: its processes are not on this machine.');
      return [];
    }
    // The plans of the functions are made and the caches filled.
    for (const way of Object.values(ways)) await send(way, TRANSFERS / TURNS);
    for (const way of Object.values(ways)) way.used = -ticksOf(way.pid);
    for (let turn = 0; turn < TURNS; turn += 1)
      for (const way of Object.values(ways)) await send(way, TRANSFERS / TURNS);
    for (const way of Object.values(ways)) way.used += ticksOf(way.pid);
    count(TRANSFERS + TRANSFERS / TURNS);
    const row = (name, budget) => cpuRow(ways.ours.used, ways[name].used, name, budget);
    return [...(ways.pgledger === undefined ? [] : [row('pgledger', '≤ 0.6')]), row('least', '≤ 2')];
  } finally {
    for (const { client } of Object.values(ways)) await client?.end();
    for (const name of ['least', 'pgledger']) await dropScratch(server, name);
  }
}

function ours(from, to) {
  const key = randomUUID();
  return [key, BODY_HASH, key, from, to, '0.01'];
}

async function givenPgledger(server, sql) {
  const scratch = await createScratch(server, 'pgledger', async (client) => {
    await client.query(sql);
    const { rows } = await client.query(
      "SELECT (pgledger_create_account('account ' || n, 'AZR')).id FROM generate_series(1, $1::int) AS n",
      [ACCOUNTS],
    );
    return rows.map(({ id }) => id);
  });
  return {
    ...scratch,
    text: 'SELECT * FROM pgledger_create_transfer($1, $2, $3)',
    values: (from, to) => [from, to, '0.01'],
  };
}

async function createScratch(server, name, fill) {
  const { createDatabase, withClient } = require('@azora/db-fleet');
  const { parseDatabaseUrl } = require('@azora/db-core');
  const database = `bench_scratch_${name}`;
  await dropScratch(server, name);
  await withClient(parseDatabaseUrl(server, 'the server'), (client) => createDatabase(client, database));
  const url = withDatabase(server, database);
  const ids = await withClient(parseDatabaseUrl(url, name), async (client) => {
    const made = await fill(client);
    await client.query('VACUUM (ANALYZE)');
    return made;
  });
  return { url, ids };
}

async function dropScratch(server, name) {
  const { dropDatabase, withClient } = require('@azora/db-fleet');
  const { parseDatabaseUrl } = require('@azora/db-core');
  await withClient(parseDatabaseUrl(server, 'the server'), (client) => dropDatabase(client, `bench_scratch_${name}`));
}

async function connect(way, Client) {
  way.client = new Client(way.url);
  await way.client.connect();
  const { rows } = await way.client.query('SELECT pg_backend_pid() AS pid');
  way.pid = rows[0].pid;
}

async function send({ client, text, values, ids }, transfers) {
  const random = (below) => Math.floor(Math.random() * below);
  for (let done = 0; done < transfers; done += 1) {
    const from = random(ids.length);
    const to = (from + 1 + random(ids.length - 1)) % ids.length;
    await client.query({ name: 'transfer', text, values: values(ids[from], ids[to]) });
  }
}

function cpuRow(used, peer, name, budget) {
  const each = (ticks) => `${((ticks * 1_000) / TICKS / TRANSFERS).toFixed(3)} ms`;
  return {
    what: `CPU of the server for a transfer, of ${TRANSFERS.toLocaleString('en')}`,
    ours: each(used),
    peer: `${each(peer)} (${name === 'least' ? 'the least possible function' : 'the function of pgledger'})`,
    ratio: (used / peer).toFixed(2),
    budget,
  };
}

module.exports = { cpuRows };
