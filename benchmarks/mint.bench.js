// Transfers of money against pgbench, which sends the same statements one by one or calls the same SQL function, and
// against an interactive transaction of Prisma. After each comparison the ledger must be consistent.
//
// pgbench's scripts know integers only, so wallets, keys and ids are numbers of 19 digits, about as long as a store's ids.
// Its statements run as the administrator, because the app role can lock wallets only by a function. They send a constant
// hash and leave out the checks of the function; the triggers change the balances for them too.
const { cpuRows } = require('./mint-cpu.js');
const { pgbench } = require('./pgbench.js');
const { rateRow, runProgram, takeTurns } = require('./measure.js');
const { withServiceDatabase } = require('./service-database.js');

const WALLETS = 1_000;
const PAYERS = 50;
const BATCH = 100;
const RECONCILE_MS = 600_000;
const FIRST = 1_000_000_000_000_000_000n;
/** The number of keys and ids of one run, and of one client in it. */
const RUN_NUMBERS = 10_000_000_000n;
const CLIENT_NUMBERS = 10_000_000n;

const WALLET_IDS = Array.from({ length: WALLETS }, (_, number) => String(FIRST + BigInt(number)));
const MERCHANT = WALLET_IDS[WALLETS - 1];
const EMPTY_WALLET = String(FIRST + BigInt(WALLETS));
const MANY_CLIENTS = 128;
const PROCESSES = 32;
/**
 * Each of many processes makes about 20 transfers a second. A transfer costs it half as much CPU once V8 has compiled its code, after
 * a few thousand transfers; a service in production has reached that, a process that is two seconds old has not.
 */
const PROCESSES_WARM_UP_SECONDS = 90;

const NEXT_ID = `\\set n :n + 1\n\\set id :first + :client_id * ${CLIENT_NUMBERS} + :n\n`;
const UNIFORM = `\\set payer random(0, ${WALLETS - 1})
\\set from ${FIRST} + :payer
\\set to ${FIRST} + (:payer + random(1, ${WALLETS - 1})) % ${WALLETS}
`;
const HOT = `\\set from ${FIRST} + :client_id\n\\set to ${MERCHANT}\n`;
const STATEMENTS = `BEGIN;
INSERT INTO requests (key, operation, body_hash, answer, created_at)
  VALUES (:id, 'transfer', '${'0'.repeat(64)}', jsonb_build_object('transactionIds', jsonb_build_array(:id::text)), now())
  ON CONFLICT (key) DO NOTHING;
SELECT id, kind, currency, status, balance, held FROM wallets WHERE id IN (:from, :to) ORDER BY id COLLATE "C"
  FOR NO KEY UPDATE;
INSERT INTO transactions (id, type, from_id, to_id, currency, amount, request_key, created_at)
  VALUES (:id, 'transfer', :from, :to, 'AZR', 0.01, :id, now()) RETURNING *;
COMMIT;
`;
const FUNCTION = `SELECT * FROM transfer_money(:id, '${'0'.repeat(64)}', :id, :from, :to, 0.01, NULL);\n`;

exports.run = ({ runs, seconds = 5, ...context }) =>
  withServiceDatabase(context, 'mint', (urls) => measure(urls, { runs, seconds, server: context.url }));

async function* measure(urls, { runs, seconds, server }) {
  const ledger = await openLedger(urls);
  try {
    for (const clients of [8, 32]) yield* await uniformTransfers({ urls, ledger, runs, seconds, clients });
    yield* await manyProcesses({ urls, ledger, runs, seconds });
    yield* await hotWallet({ urls, ledger, runs, seconds });
    yield* await batches({ urls, ledger, runs, seconds });
    yield* await rejections({ urls, ledger, runs, seconds });
    await ledger.tidy();
    yield* await cpuRows({ server, wallets: WALLET_IDS });
    await ledger.reconcile();
    yield ledger.summary();
  } finally {
    await ledger.close();
  }
}

async function uniformTransfers({ urls, ledger, runs, seconds, clients }) {
  const load = { clients, seconds, wallets: WALLET_IDS };
  const script = (text) => ({ clients, seconds, script: NEXT_ID + UNIFORM + text });
  const rates = await takeTurns(
    runs,
    {
      ours: () => ledger.count(runProgram('mint-load.js', { ...load, way: 'transfer', url: urls.app })),
      statements: () => ledger.count(pgbench(urls.admin, { ...script(STATEMENTS), variables: ledger.numbers() })),
      function: () => ledger.count(pgbench(urls.app, { ...script(FUNCTION), variables: ledger.numbers() })),
      prisma: () => ledger.count(runProgram('mint-load.js', { ...load, way: 'prisma', url: urls.admin })),
    },
    ledger.tidy,
  );
  await ledger.reconcile();
  const what = `mint.transfer, ${WALLETS.toLocaleString('en')} wallets, ${clients} clients of one process`;
  return [
    ...againstPgbench(what, rates),
    rateRow(what, rates.ours, rates.prisma, 'an interactive transaction of Prisma', '≥ 5'),
  ];
}

/** Processes with one client each: their transfers meet only in the database. */
async function manyProcesses({ urls, ledger, runs, seconds }) {
  const times = { seconds, warmUpSeconds: PROCESSES_WARM_UP_SECONDS };
  const load = { ...times, processes: PROCESSES, clients: 1, wallets: WALLET_IDS };
  const script = { ...times, clients: PROCESSES, script: NEXT_ID + UNIFORM + STATEMENTS };
  const rates = await takeTurns(
    runs,
    {
      ours: () => ledger.count(runProgram('mint-load.js', { ...load, way: 'transfer', url: urls.app })),
      statements: () => ledger.count(pgbench(urls.admin, { ...script, variables: ledger.numbers() })),
    },
    ledger.tidy,
  );
  await ledger.reconcile();
  const what = `mint.transfer, ${PROCESSES} processes of one client, after ${PROCESSES_WARM_UP_SECONDS} s`;
  return [rateRow(what, rates.ours, rates.statements, 'pgbench, the statements one by one', '≥ 1.0')];
}

async function hotWallet({ urls, ledger, runs, seconds }) {
  const load = { clients: PAYERS, seconds, wallets: WALLET_IDS, merchant: MERCHANT };
  const script = (text) => ({ clients: PAYERS, seconds, script: NEXT_ID + HOT + text });
  const rates = await takeTurns(
    runs,
    {
      ours: () => ledger.count(runProgram('mint-load.js', { ...load, way: 'transfer', url: urls.app })),
      statements: () => ledger.count(pgbench(urls.admin, { ...script(STATEMENTS), variables: ledger.numbers() })),
      function: () => ledger.count(pgbench(urls.app, { ...script(FUNCTION), variables: ledger.numbers() })),
    },
    ledger.tidy,
  );
  await ledger.reconcile();
  return againstPgbench(`mint.transfer, one hot wallet, ${PAYERS} payers of one process`, rates);
}

function againstPgbench(what, rates) {
  return [
    rateRow(what, rates.ours, rates.statements, 'pgbench, the statements one by one', '≥ 1.1'),
    rateRow(what, rates.ours, rates.function, 'pgbench, the same function', '≥ 0.5'),
  ];
}

/** One caller with many transfers: a call for each hundred of them, or a call for each one after the other. */
async function batches({ urls, ledger, runs, seconds }) {
  const load = { clients: 1, seconds, wallets: WALLET_IDS, url: urls.app };
  const rates = await takeTurns(
    runs,
    {
      many: () => ledger.count(runProgram('mint-load.js', { ...load, way: 'transferMany', batch: BATCH }), BATCH),
      single: () => ledger.count(runProgram('mint-load.js', { ...load, way: 'transfer' })),
    },
    ledger.tidy,
  );
  await ledger.reconcile();
  return [rateRow(`transferMany of ${BATCH}`, rates.many, rates.single, 'mint.transfer one after the other', '≥ 4')];
}

/** Many concurrent transfers of one process. Some are rejected; the others must not become slower. */
async function rejections({ urls, ledger, runs, seconds }) {
  const load = { clients: MANY_CLIENTS, seconds, wallets: WALLET_IDS, emptyWallet: EMPTY_WALLET, url: urls.app };
  const run = (share) => () => ledger.count(runProgram('mint-load.js', { ...load, way: 'partlyRejected', share }));
  const rates = await takeTurns(runs, { none: run(0), few: run(0.01), many: run(0.1) }, ledger.tidy);
  await ledger.reconcile();
  const what = (share) => `mint.transfer, ${MANY_CLIENTS} clients of one process, ${share} rejected`;
  return [
    rateRow(what('1 %'), rates.few, rates.none, 'none rejected', '≥ 0.9'),
    rateRow(what('10 %'), rates.many, rates.none, 'none rejected', '≥ 0.9'),
  ];
}

/** Opens wallets with enough money for all runs, and counts what the runs do with it. */
async function openLedger({ app, admin }) {
  const { withClient } = require('@azora/db-fleet');
  const { parseDatabaseUrl } = require('@azora/db-core');
  const { mint: issue, openMint, reconcile } = require('@azora/mint');
  const administrator = parseDatabaseUrl(admin, 'the administrator');
  // reconcile reads the whole ledger, which can take long.
  const mint = openMint({ url: app, pool: { statementTimeoutMs: RECONCILE_MS }, slowQueryMs: RECONCILE_MS });
  let [made, started, reconciled] = [0, 0n, 0];
  await withClient(administrator, givenWallets);
  // One after the other: all of them lock the treasury.
  for (const to of WALLET_IDS) await issue(mint, { to, amount: '1000000', idempotencyKey: `welcome-${to}` });
  return {
    close: () => mint.close(),
    /** The first key and id for a run of pgbench. */
    numbers: () => {
      started += 1n;
      return { first: FIRST + started * RUN_NUMBERS };
    },
    /** `done` are the transfers that were made; `perSecond` counts rejected ones too. */
    count: ({ perSecond, done }, transfers = 1) => {
      made += done * transfers;
      return perSecond * transfers;
    },
    /** Each run starts without work for the server that is left from the previous one. */
    tidy: () =>
      withClient(administrator, async (client) => {
        await client.query('VACUUM (ANALYZE) wallets, requests, transactions');
        await client.query('CHECKPOINT');
      }),
    /** @throws {Error} when the ledger is inconsistent, or does not have exactly the transfers that the clients counted. */
    reconcile: async () => {
      const differences = await reconcile(mint);
      if (differences.length > 0) throw new Error(`reconcile: ${JSON.stringify(differences.slice(0, 10), null, 2)}`);
      const { rows } = await mint.pool.query("SELECT count(*)::int AS found FROM transactions WHERE type = 'transfer'");
      if (rows[0].found !== made)
        throw new Error(`the clients made ${made} transfers, but the ledger has ${rows[0].found}`);
      reconciled += 1;
    },
    summary: () => ({
      what: `reconcile, ${made.toLocaleString('en')} transfers, after each of the above`,
      ours: `clean, ${reconciled} times`,
      peer: '',
      ratio: '',
      budget: 'clean',
    }),
  };
}

/** The app role cannot insert wallets. */
async function givenWallets(client) {
  await client.query(
    `INSERT INTO wallets (id, user_id, currency) SELECT id, 'user-' || id, 'AZR' FROM unnest($1::text[]) AS id`,
    [[...WALLET_IDS, EMPTY_WALLET]],
  );
}
