import { Client } from 'pg';
import type { TestDatabase } from './database';
import { testEffort } from './effort';

/** A statement for the administrator, which takes a lock. */
export interface Gate {
  readonly text: string;
  readonly values?: readonly unknown[];
}

/** Calls on one row. Each two of them are made at the same time. */
export interface RacingCalls<Row> {
  /** Makes a row that no other race uses. */
  readonly given: () => Promise<Row>;
  /** Takes the lock that the calls on this row take first. */
  readonly gate: (row: Row) => Gate;
  /** Those that end or delete the row come first. A call whose result is a word shows it in its outcome; another one is only done. */
  readonly calls: Readonly<Record<string, (row: Row) => Promise<unknown>>>;
  /** What the calls leave behind, without ids and times, which differ from race to race. */
  readonly stateOf: (row: Row) => Promise<unknown>;
}

/**
 * Makes each pair of the calls at the same time, and returns the outcomes and the states that no order explains in which the two calls are
 * made one after the other; empty when the calls exclude each other. The gate stops both calls at their first lock, so that each has read
 * before it what it reads without the lock; the one that is listed first passes first, and with more effort each of them does. Nothing
 * depends on the speed of the machine.
 */
export async function racePairs<Row>(db: TestDatabase, race: RacingCalls<Row>): Promise<readonly string[]> {
  const holder = new Client({ connectionString: db.target.admin.href });
  await holder.connect();
  const unexplained: string[] = [];
  try {
    const names = Object.keys(race.calls);
    for (const pair of names.flatMap((first, index) => names.slice(index).map((second) => [first, second] as const)))
      unexplained.push(...(await racePair(db, holder, race, pair)));
  } finally {
    await holder.end();
  }
  return unexplained;
}

/**
 * Makes calls while the gate is held: each starts when the one before it waits for a lock or has ended, and the gate opens after the
 * last one. Returns their outcomes: the code of the error, the result if it is a word, and `done` otherwise.
 */
export async function callAtGate(
  db: TestDatabase,
  gate: Gate,
  calls: readonly (() => Promise<unknown>)[],
): Promise<readonly string[]> {
  const holder = new Client({ connectionString: db.target.admin.href });
  await holder.connect();
  try {
    return await callWhileHeld(db, holder, gate, calls);
  } finally {
    await holder.end();
  }
}

type Order = readonly [first: string, second: string];

async function makeInTurn<Row>(race: RacingCalls<Row>, order: Order): Promise<string> {
  const row = await race.given();
  const outcomes: string[] = [];
  for (const name of order) outcomes.push(await outcomeOf(race.calls[name]?.(row)));
  return resultOf(race, row, order, outcomes);
}

async function racePair<Row>(
  db: TestDatabase,
  holder: Client,
  race: RacingCalls<Row>,
  [first, second]: Order,
): Promise<readonly string[]> {
  const orders: readonly Order[] = [[first, second], ...(first === second ? [] : [[second, first] as const])];
  const allowed: string[] = [];
  const unexplained: string[] = [];
  for (const order of orders.slice(0, testEffort())) {
    const found = await makeAtOnce(db, holder, race, order);
    // The second order rarely has to explain anything, so it is made only then.
    for (const turn of orders) if (!allowed.includes(found)) allowed.push(await makeInTurn(race, turn));
    if (!allowed.includes(found)) unexplained.push(`${order.join(' and ')}: ${found}, not ${allowed.join(' or ')}`);
  }
  return unexplained;
}

async function makeAtOnce<Row>(
  db: TestDatabase,
  holder: Client,
  race: RacingCalls<Row>,
  order: Order,
): Promise<string> {
  const row = await race.given();
  const calls = order.map((name) => () => race.calls[name]?.(row));
  return resultOf(race, row, order, await callWhileHeld(db, holder, race.gate(row), calls));
}

/** Starts each call when the one before it waits for a lock or has ended, and opens the gate after the last one. */
async function callWhileHeld(
  db: TestDatabase,
  holder: Client,
  gate: Gate,
  calls: readonly (() => Promise<unknown> | undefined)[],
): Promise<readonly string[]> {
  await holder.query('BEGIN');
  await holder.query(gate.text, [...(gate.values ?? [])]);
  let running = 0;
  const outcomes: Promise<string>[] = [];
  for (const call of calls) {
    running += 1;
    const outcome = outcomeOf(call()).finally(() => {
      running -= 1;
    });
    outcomes.push(outcome);
    while (running > (await countWaiting(db)));
  }
  await holder.query('COMMIT');
  return Promise.all(outcomes);
}

async function countWaiting(db: TestDatabase): Promise<number> {
  const [row] = await db.admin(
    `SELECT count(*)::int AS waiting FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event IN ('advisory', 'relation', 'transactionid', 'tuple')`,
  );
  return Number(row?.['waiting']);
}

async function outcomeOf(call: Promise<unknown> | undefined): Promise<string> {
  try {
    const result = await call;
    return result === undefined || typeof result === 'object' ? 'done' : String(result);
  } catch (error) {
    return String((error as { code?: string }).code ?? error);
  }
}

/** The same text for the same outcomes, whichever call was made first. */
async function resultOf<Row>(
  race: RacingCalls<Row>,
  row: Row,
  order: Order,
  outcomes: readonly string[],
): Promise<string> {
  const named = order.map((name, index) => `${name} ${outcomes[index]}`).sort();
  return JSON.stringify([...named, await race.stateOf(row)]);
}
