/** @server any */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FaultProxy, openFaultProxy, type TestDatabase, testEffort, useDatabase } from '@azora/db-testkit';
import { mint as issue, type Mint, openMint, openWallet, reconcile } from '@azora/mint';
import type { EventsJob } from './purchase-events-process';
import { RECEIPTS, REQUESTED, SHOP } from './purchase-saga';
import type { SagaJob } from './saga-process';
import { type SagaProcess, startProgram } from './saga-processes';

/** How many sagas the test runs; AZORA_SAGAS of the environment, 100000 for all that the suite promises. */
const SAGAS = Number(process.env['AZORA_SAGAS'] ?? 200 * testEffort());
const TROUBLE_EVERY_MS = 2_000;
const FAULT_MS = 500;
/** The last purchases are published after this many kills, so that a fast machine does not finish before them. */
const LEAST_KILLS = 3;
/** How many sagas have finished since the last kill. A busy machine would otherwise spend its time on the start of processes. */
const SAGAS_PER_KILL = 10;
const BUYERS = 40;
const SELLERS = 8;
const WORKERS = 2;
/** Time of nexus runs so much faster: the leases of killed processes, half a minute or a minute, end after 3 or 6 seconds. */
const SPEED = 10;
const FAST_CLOCK = `CREATE OR REPLACE FUNCTION database_time() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
  AS $$ SELECT '2026-03-01'::timestamptz + (clock_timestamp() - '2026-03-01'::timestamptz) * ${SPEED} $$`;
/** Every tenth purchase is refused by the shop, and every tenth by its last step. */
const PUBLISH = `SELECT count(publish_event('${REQUESTED}', 'purchase-' || n, jsonb_build_object(
    'from', ($3::text[])[1 + n % ${BUYERS}], 'to', ($4::text[])[1 + n % ${SELLERS}], 'amount', '1',
    'refusedAt', CASE n % 10 WHEN 3 THEN 'confirm' WHEN 7 THEN 'pay' ELSE 'never' END), NULL))
  FROM generate_series($1::integer, $2::integer) AS n`;

describe(`${SAGAS} sagas from an event of auth over mint to an inbox`, () => {
  const programs: Program[] = [];
  const links: FaultProxy[] = [];
  let mint: Mint | undefined;
  let trouble: Trouble | undefined;
  // Before the databases are dropped.
  afterAll(async () => {
    await trouble?.stop();
    await Promise.all(programs.map(({ running }) => kill(running)));
    await Promise.all(links.map((link) => link.close()));
    await mint?.close();
  });
  const [auth, nexus] = [useDatabase('auth'), useDatabase('nexus')];
  const [ledger, notification] = [useDatabase('mint'), useDatabase('notification')];

  /** The URL of a database by a link of its own, which the test disturbs. */
  const linkTo = async (db: TestDatabase): Promise<string> => {
    const { hostname, port } = new URL(db.url);
    const link = await openFaultProxy({ host: hostname, port: Number(port) });
    links.push(link);
    return link.through(db.url);
  };

  it('lose nothing, double nothing and balance, while every two seconds a process is killed and each link has a fault', async () => {
    await nexus().admin(FAST_CLOCK);
    await createTable(nexus(), SHOP, 'confirmations');
    await createTable(notification(), RECEIPTS, 'receipts');
    mint = openMint({ url: ledger().url, slowQueryMs: 60_000 });
    const wallets = await openWallets(mint);
    const urls: EventsJob = {
      auth: await linkTo(auth()),
      nexus: await linkTo(nexus()),
      mint: await linkTo(ledger()),
      notification: await linkTo(notification()),
    };
    const job: SagaJob = {
      nexus: await linkTo(nexus()),
      mint: await linkTo(ledger()),
      shop: await linkTo(nexus()),
      ...{ leaseMs: 60_000, concurrency: 16, stops: {} },
    };
    programs.push(openProgram('purchase-events-process.ts', urls));
    for (let n = 0; n < WORKERS; n += 1) programs.push(openProgram('saga-process.ts', job));
    const started = performance.now();
    const finished = () => numberOf(nexus(), 'FROM sagas WHERE finished_at IS NOT NULL');
    const kills = openKills(programs, finished);
    trouble = startTrouble(links, kills.next);
    for (let part = 0; part <= LEAST_KILLS; part += 1) {
      await waitUntil(async () => kills.count() >= part);
      const end = Math.floor((SAGAS * (part + 1)) / (LEAST_KILLS + 1));
      for (let first = Math.floor((SAGAS * part) / (LEAST_KILLS + 1)) + 1; first <= end; first += 500) {
        await auth().app(PUBLISH, [first, Math.min(first + 499, end), wallets.buyers, wallets.sellers]);
      }
    }

    await waitUntil(async () => (await finished()) === SAGAS);
    const seconds = (performance.now() - started) / 1_000;
    // Each payment has a receipt in the end.
    await waitUntil(async () => {
      const paid = await numberOf(nexus(), `FROM sagas WHERE state = 'done'`);
      return (await numberOf(notification(), 'FROM receipts')) >= paid;
    });
    await trouble.stop();
    const cuts = links.reduce((sum, link) => sum + link.cuts(), 0);
    const text = `${SAGAS} sagas in ${seconds.toFixed(1)} s, ${kills.count()} processes killed, ${cuts} connections cut`;
    process.stderr.write(`${text}\n`);

    expect(await problemsOf({ nexus: nexus(), ledger: ledger(), notification: notification() })).toEqual([]);
    expect(await reconcile(mint)).toEqual([]);
    expect(cuts).toBeGreaterThan(0);
  });
});

interface Program {
  running: SagaProcess;
  start(): SagaProcess;
}

function openProgram(file: string, job: object): Program {
  const start = () => startProgram(file, job);
  return { running: start(), start };
}

async function createTable(db: TestDatabase, sql: string, table: string): Promise<void> {
  await db.admin(`${sql}; GRANT SELECT, INSERT, UPDATE, DELETE ON ${table} TO "${db.target.role}"`);
}

async function openWallets(mint: Mint): Promise<{ readonly buyers: string[]; readonly sellers: string[] }> {
  const open = async (userId: string) => (await openWallet(mint, { userId, currency: 'AZR' })).id;
  const buyers = await Promise.all(Array.from({ length: BUYERS }, (_, n) => open(`buyer-${n}`)));
  const sellers = await Promise.all(Array.from({ length: SELLERS }, (_, n) => open(`seller-${n}`)));
  for (const to of buyers) await issue(mint, { to, amount: '1000000', idempotencyKey: `welcome-${to}` });
  return { buyers, sellers };
}

interface Trouble {
  stop(): Promise<void>;
}

/** Every two seconds, gives each link another fault than before for half a second, and calls `kill`. */
function startTrouble(links: readonly FaultProxy[], kill: () => Promise<void>): Trouble {
  const ending = new AbortController();
  const { signal } = ending;
  const run = async () => {
    for (let round = 0; ; round += 1) {
      await sleep(TROUBLE_EVERY_MS - FAULT_MS, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      for (const [n, link] of links.entries()) FAULTS[(round + n) % FAULTS.length]?.(link);
      await sleep(FAULT_MS, undefined, { signal }).catch(() => undefined);
      for (const link of links) endFault(link);
      if (!signal.aborted) await kill();
    }
  };
  const running = run();
  return {
    stop: async () => {
      ending.abort();
      await running;
    },
  };
}

/** Kills a random process of those that have recorded some work, if enough sagas have finished since the last time. */
function openKills(programs: readonly Program[], finished: () => Promise<number>) {
  let [count, before] = [0, 0];
  return {
    count: () => count,
    next: async (): Promise<void> => {
      const ready = programs.filter(({ running }) => running.hasPrinted('works'));
      const program = ready[randomInt(Math.max(1, ready.length))];
      const now = await finished();
      if (program === undefined || now - before < SAGAS_PER_KILL) return;
      before = now;
      await kill(program.running);
      program.running = program.start();
      count += 1;
    },
  };
}

/** The faults of a network. In each round, each link has another one of them. */
const FAULTS: readonly ((link: FaultProxy) => void)[] = [
  (link) => link.reset(),
  (link) => link.set('upstream', { limitBytes: randomInt(1, 20_000) }),
  (link) => link.set('downstream', { latencyMs: 20, jitterMs: 20 }),
  (link) => link.set('downstream', { limitBytes: randomInt(1, 20_000) }),
  (link) => link.set('upstream', { bytesPerSecond: 200_000, slowCloseMs: 200 }),
  (link) => link.set(randomInt(2) === 0 ? 'upstream' : 'downstream', { stalls: true }),
  (link) => link.down(),
];

function endFault(link: FaultProxy): void {
  link.set('upstream', {});
  link.set('downstream', {});
  link.up();
}

async function kill({ process: child }: SagaProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

async function waitUntil(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await sleep(200);
}

async function numberOf(db: TestDatabase, from: string): Promise<number> {
  const [row] = await db.admin(`SELECT count(*)::int AS number ${from}`);
  return Number(row?.['number']);
}

interface Databases {
  readonly nexus: TestDatabase;
  readonly ledger: TestDatabase;
  readonly notification: TestDatabase;
}

/** What each database recorded, by the id of the saga. */
interface History {
  readonly holds: Groups;
  readonly payments: Groups;
  readonly confirmations: Groups;
  /** How often each payment was received, by the id of its transaction. */
  readonly receipts: ReadonlyMap<unknown, unknown>;
}

async function historyOf({ nexus, ledger, notification }: Databases): Promise<History> {
  const saga = (column: string) => `split_part(${column}, ':', 1) AS saga`;
  const receipts = await notification.admin('SELECT transaction_id, count FROM receipts');
  return {
    holds: groupBy(await ledger.admin(`SELECT ${saga('request_key')}, status FROM holds`)),
    payments: groupBy(
      await ledger.admin(`SELECT ${saga('request_key')}, id FROM transactions WHERE type = 'transfer'`),
    ),
    confirmations: groupBy(await nexus.admin(`SELECT ${saga('key')}, count FROM confirmations`)),
    receipts: new Map(receipts.map((row) => [row['transaction_id'], row['count']])),
  };
}

const PAID = { state: 'done', holds: 'captured', payments: 1, confirmed: '1', receipts: 1 };
const UNDONE = { state: 'compensated', holds: 'released', payments: 0, confirmed: '', receipts: 0 };

/** Judges the recorded history: each purchase has one saga with everything that its end needs, and nothing else exists. */
async function problemsOf(databases: Databases): Promise<readonly string[]> {
  const { nexus, ledger } = databases;
  const sagas = await nexus.admin(`SELECT id::text, key, state, input ->> 'refusedAt' AS "refusedAt" FROM sagas`);
  const history = await historyOf(databases);
  const keys = new Set(sagas.map(({ key }) => key));
  const ids = new Set(sagas.map(({ id }) => id));
  const expected = Array.from({ length: SAGAS }, (_, n) => `purchase-${n + 1}`);
  const { holds, payments, confirmations, receipts } = history;
  const known = [...holds.keys(), ...payments.keys(), ...confirmations.keys()];
  const held = await ledger.admin('SELECT id FROM wallets WHERE held <> 0');
  const problems = [
    ...expected.filter((key) => !keys.has(key)).map((key) => `${key} has no saga`),
    ...(sagas.length === SAGAS ? [] : [`${sagas.length} sagas`]),
    ...known.filter((id) => !ids.has(id)).map((id) => `nobody knows the saga ${id}`),
    ...held.map(({ id }) => `wallet ${id} has held money`),
    ...(receipts.size === payments.size ? [] : [`${receipts.size} receipts for ${payments.size} payments`]),
    ...sagas.flatMap((saga) => problemOf(saga, history)),
  ];
  return problems.slice(0, 20);
}

function problemOf(
  { id, key, state, refusedAt }: Row,
  { holds, payments, confirmations, receipts }: History,
): string[] {
  const paid = payments.get(id) ?? [];
  const found = {
    state,
    holds: (holds.get(id) ?? []).map(({ status }) => status).join(),
    payments: paid.length,
    confirmed: (confirmations.get(id) ?? []).map(({ count }) => count).join(),
    receipts: receipts.get(paid[0]?.['id']) ?? 0,
  };
  const isAsExpected = JSON.stringify(found) === JSON.stringify(refusedAt === 'never' ? PAID : UNDONE);
  return isAsExpected ? [] : [`${key}: ${JSON.stringify(found)}`];
}

type Row = Readonly<Record<string, unknown>>;
type Groups = ReadonlyMap<unknown, readonly Row[]>;

function groupBy(rows: readonly Row[]): Groups {
  const groups = new Map<unknown, Row[]>();
  for (const row of rows) groups.set(row['saga'], [...(groups.get(row['saga']) ?? []), row]);
  return groups;
}
