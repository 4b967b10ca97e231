// The CPU time of the server for each transfer: ours, the function of pgledger, the least that a transfer can be, and our rows without
// our rules; and ours with and without the trigger that publishes the event. Each way has a database of its own. One session each
// sends the transfers one after the other; its process in /proc has the time. Run by mint.bench.js.
const { existsSync, readdirSync, readFileSync } = require('node:fs');
const { randomUUID } = require('node:crypto');
const path = require('node:path');
const { TICKS, ticksOf, withDatabase } = require('./measure.js');

const TRANSFERS = 16_000;
/** The ways take turns, so that other load on the machine affects all of them equally. */
const TURNS = 16;
const ACCOUNTS = 1_000;
const BODY_HASH = '0'.repeat(64);
/** Takes the events away from a ledger. */
const SILENT = 'DROP TRIGGER zz_transactions_publish ON transactions';

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
 * The rows, indexes, foreign keys and hashes that a transfer writes in our ledger, without its triggers and its rules: what is above it
 * is the price of the rules.
 */
const BARE = `
  CREATE TABLE wallets (id text PRIMARY KEY, currency text NOT NULL, balance numeric(18,8) NOT NULL, entries bigint NOT NULL DEFAULT 0,
    last_seq bigint NOT NULL DEFAULT 0, chain bytea NOT NULL DEFAULT '', updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (id, currency));
  CREATE TABLE requests (key varchar(200) PRIMARY KEY, operation varchar(50) NOT NULL, body_hash char(64) NOT NULL,
    answer jsonb NOT NULL, created_at timestamptz NOT NULL, hash bytea NOT NULL);
  CREATE SEQUENCE ledger_seq;
  CREATE TABLE transactions (id text PRIMARY KEY, type text NOT NULL, from_id text NOT NULL, to_id text NOT NULL,
    currency text NOT NULL, amount numeric(18,8) NOT NULL, request_key varchar(200) NOT NULL REFERENCES requests,
    created_at timestamptz NOT NULL, seq bigint NOT NULL, hash bytea NOT NULL,
    FOREIGN KEY (from_id, currency) REFERENCES wallets (id, currency),
    FOREIGN KEY (to_id, currency) REFERENCES wallets (id, currency));
  CREATE INDEX ON transactions (from_id, created_at);
  CREATE INDEX ON transactions (to_id, created_at);
  CREATE INDEX ON transactions (request_key);
  CREATE INDEX ON transactions USING brin (created_at);
  CREATE TABLE outbox (position bigint GENERATED ALWAYS AS IDENTITY, transaction_id bigint NOT NULL,
    event_id uuid NOT NULL DEFAULT gen_random_uuid(), type varchar(100) NOT NULL, key varchar(200) NOT NULL,
    payload jsonb NOT NULL, created_at timestamptz NOT NULL, PRIMARY KEY (transaction_id, position));
  CREATE FUNCTION bare_transfer(request_key text, payer text, receiver text, moved numeric) RETURNS void LANGUAGE plpgsql AS $$
  DECLARE
    at timestamptz := clock_timestamp();
    answer jsonb := jsonb_build_object('transactionIds', jsonb_build_array(request_key));
    body_hash text := repeat('0', 64);
    request_hash bytea := sha256(convert_to(ROW('request', request_key, 'transfer', body_hash, answer)::text, 'UTF8'));
    hash bytea;
    seq bigint;
  BEGIN
    INSERT INTO requests VALUES (request_key, 'transfer', body_hash, answer, at, request_hash);
    PERFORM FROM wallets WHERE id IN (payer, receiver) ORDER BY id FOR NO KEY UPDATE;
    seq := nextval('ledger_seq');
    hash := sha256(convert_to(ROW('transaction', seq, request_key, payer, receiver, 'AZR', moved, request_key)::text, 'UTF8'));
    INSERT INTO transactions VALUES (request_key, 'transfer', payer, receiver, 'AZR', moved, request_key, at, seq, hash);
    UPDATE wallets AS w SET balance = balance + CASE id WHEN receiver THEN moved ELSE -moved END, entries = entries + 1,
      last_seq = seq, chain = sha256(chain || hash || request_hash), updated_at = at
    WHERE id IN (payer, receiver);
    INSERT INTO outbox (transaction_id, type, key, payload, created_at)
    VALUES (pg_current_xact_id()::text::bigint, 'mint.transaction-posted.v1', payer,
      jsonb_object(ARRAY['transactionId', request_key, 'transactionType', 'transfer', 'fromWalletId', payer, 'toWalletId', receiver,
        'currency', 'AZR', 'amount', moved::text, 'requestKeyHash', encode(sha256(convert_to(request_key, 'UTF8')), 'hex'),
        'seq', seq::text]), at);
  END
  $$;`;

/**
 * The rows of the result table. `wallets` are the ids of wallets. Returns none for a server whose processes this machine does not
 * have, and prints the reason.
 */
async function cpuRows({ server, wallets }) {
  const { Client } = require('pg');
  const ours = { text: 'SELECT * FROM transfer_money($1, $2, $3, $4, $5, $6, NULL)', values: requestOf };
  const ways = {
    ours: { ...(await createScratch(server, 'ours', (client) => givenLedger(client, wallets))), ...ours },
    silent: { ...(await createScratch(server, 'silent', (client) => givenLedger(client, wallets, SILENT))), ...ours },
    bare: await givenFunction(
      server,
      'bare',
      wallets,
      BARE,
      'INSERT INTO wallets (id, balance, currency) SELECT unnest($1::text[]), 1000000, $2',
      ['AZR'],
    ),
    least: await givenFunction(
      server,
      'least',
      wallets,
      LEAST,
      'INSERT INTO accounts SELECT unnest($1::text[]), 1000000',
    ),
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
    // A session keeps the plans that it makes first, so each way plans with the statistics of tables that have rows.
    for (const way of Object.values(ways)) {
      await send(way, TRANSFERS / TURNS);
      await way.client.query('VACUUM (ANALYZE)');
      await way.client.end();
      await connect(way, Client);
    }
    // The plans of the functions are made and the caches filled.
    for (const way of Object.values(ways)) await send(way, TRANSFERS / TURNS);
    for (const way of Object.values(ways)) way.used = -ticksOf(way.pid);
    for (let turn = 0; turn < TURNS; turn += 1)
      for (const way of Object.values(ways)) await send(way, TRANSFERS / TURNS);
    for (const way of Object.values(ways)) way.used += ticksOf(way.pid);
    const row = (name, budget) => cpuRow('a transfer', ways.ours.used, ways[name].used, name, budget);
    return [
      ...(ways.pgledger === undefined ? [] : [row('pgledger', '≤ 0.6')]),
      row('least', '≤ 2'),
      row('bare', ''),
      cpuRow('a transfer and its event', ways.ours.used, ways.silent.used, 'silent', '≤ 1.1'),
    ];
  } finally {
    for (const { client } of Object.values(ways)) await client?.end();
    for (const name of ['ours', 'silent', 'bare', 'least', 'pgledger']) await dropScratch(server, name);
  }
}

function requestOf(from, to) {
  const key = randomUUID();
  return [key, BODY_HASH, key, from, to, '0.01'];
}

/** A ledger of its own with money in the wallets, so that both ways begin alike. */
async function givenLedger(client, wallets, change = '') {
  const folder = path.join(__dirname, '..', 'services', 'mint', 'prisma', 'migrations');
  for (const name of readdirSync(folder).sort()) {
    const file = path.join(folder, name, 'migration.sql');
    if (existsSync(file)) await client.query(`BEGIN; ${readFileSync(file, 'utf8')}; COMMIT`);
  }
  await client.query(change);
  await client.query(
    `INSERT INTO wallets (id, user_id, currency) SELECT id, 'user-' || id, 'AZR' FROM unnest($1::text[]) AS id`,
    [wallets],
  );
  await client.query(
    `WITH request AS (
       INSERT INTO requests (key, operation, body_hash, answer)
       VALUES ('welcome', 'mint', $2, jsonb_build_object('transactionIds', $1::text[])) RETURNING key
     )
     INSERT INTO transactions (id, type, from_id, to_id, amount, request_key)
     SELECT id, 'mint', 'treasury-AZR', id, 1000000, key FROM request, unnest($1::text[]) AS id`,
    [wallets, BODY_HASH],
  );
  return wallets;
}

/** A database with one function that makes a transfer, and a million in each account. */
async function givenFunction(server, name, accounts, schema, money, values = []) {
  const scratch = await createScratch(server, name, async (client) => {
    await client.query(schema);
    await client.query(money, [accounts, ...values]);
    return accounts;
  });
  return {
    ...scratch,
    text: `SELECT ${name}_transfer($1, $2, $3, $4)`,
    values: (from, to) => [randomUUID(), from, to, '0.01'],
  };
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

const PEERS = {
  bare: 'our rows, indexes and hashes without our rules',
  least: 'the least possible function',
  pgledger: 'the function of pgledger',
  silent: 'the same without its trigger',
};

function cpuRow(what, used, peer, name, budget) {
  const each = (ticks) => `${((ticks * 1_000) / TICKS / TRANSFERS).toFixed(3)} ms`;
  return {
    what: `CPU of the server for ${what}, of ${TRANSFERS.toLocaleString('en')}`,
    ours: each(used),
    peer: `${each(peer)} (${PEERS[name]})`,
    ratio: (used / peer).toFixed(2),
    budget,
  };
}

module.exports = { cpuRows };
