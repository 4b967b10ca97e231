import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type TestClock, useDatabase, useTestClock } from '@azora/db-testkit';
import { Pool } from 'pg';
import { type Finding, judge } from './checker';
import { COMPILED, type Code, type Program, type RecordingConsumer, type Task, usePrograms } from './programs';
import { COUNTED, clearRecording, type Databases, readHistory, startRecording } from './recording';

const LANES = 16;
const KEYS = 200;
/** How many events the publishers may be ahead of the effects that a test waits for. */
const AHEAD = 300;
/** Longer than every lease and every delay before a retry. */
const LONG_MS = 11 * 60_000;

/** Publishers that continue until they are stopped. */
export interface Load {
  stop(): Promise<void>;
}

export interface Chaos {
  readonly databases: () => Databases;
  /** The time of the log. */
  readonly clock: TestClock;
  /** Ends all leases, and makes all parked events due. */
  endLeases(): Promise<void>;
  startRelay(task?: Partial<Task>, code?: Code): Promise<Program>;
  startConsumer(consumer?: Partial<RecordingConsumer>, task?: Partial<Task>, code?: Code): Promise<Program>;
  /** Starts a worker of each consumer in one process. */
  startConsumers(names: readonly string[]): Promise<Program>;
  /** Publishes the next event of each key in one transaction. */
  publish(keys: readonly string[], padding?: string): Promise<void>;
  /**
   * Lets 8 writers publish in transactions of five events that commit after random delays, until the load is stopped. They are at
   * most some hundred events ahead of `progress`.
   */
  startLoad(): Load;
  /** Waits until the consumers have this many more effects together than at the last call. */
  progress(effects: number): Promise<void>;
  /**
   * Publishes a last event in every lane, waits until each consumer has handled them and has no open parked event, and judges the
   * history. With a deadline it also judges when nothing arrives any more.
   */
  findings(consumers?: readonly string[], deadlineMs?: number): Promise<readonly Finding[]>;
}

export const CONSUMER = 'family.record';

/** Gives the surrounding `describe` three databases that record their history, and programs that it can break. */
export function useChaos(): Chaos {
  const [source, target, nexus] = [useDatabase('family'), useDatabase('family'), useDatabase('nexus')];
  const clock = useTestClock(nexus, '2026-03-01T12:00:00Z');
  const start = usePrograms();
  const databases = () => ({ source: source(), target: target(), nexus: nexus() });
  const loads: Load[] = [];
  let reached = 0;
  let round = 0;
  beforeAll(() => startRecording(databases()));
  beforeEach(async () => {
    await clearRecording(databases());
    reached = 0;
  });

  afterEach(() => Promise.all(loads.splice(0).map((load) => load.stop())));

  const chaos: Chaos = {
    databases,
    clock,
    endLeases: () => clock.move(LONG_MS),
    startRelay: (task, code = COMPILED) => start({ bus: nexus().url, url: source().url, ...task }, code),
    startConsumer: (consumer, task, code = COMPILED) => {
      const recording = { name: CONSUMER, types: [COUNTED], ...consumer };
      return start({ bus: nexus().url, url: target().url, consumers: [recording], ...task }, code);
    },
    startConsumers: (names) => {
      const consumers = names.map((name) => ({ name, types: [COUNTED] }));
      return start({ bus: nexus().url, url: target().url, consumers }, COMPILED);
    },
    publish: async (keys, padding = '') => {
      await source().app('SELECT publish_next($1, $2)', [keys, padding]);
    },
    startLoad: () => {
      const load = startLoad(source().url, () => reached + AHEAD);
      loads.push(load);
      return load;
    },
    progress: async (effects) => {
      reached += effects;
      await until(async () => (await countOf('SELECT count(*)::int AS found FROM effects')) >= reached);
    },
    findings: async (consumers = [CONSUMER], deadlineMs = Number.POSITIVE_INFINITY) => {
      round += 1;
      const markers = markersOf(round);
      await untilAnswered(() => chaos.publish(markers));
      const deadline = performance.now() + deadlineMs;
      await until(async () => performance.now() > deadline || (await isSettled(consumers, markers)));
      return judge(await readHistory(databases()), consumers);
    },
  };

  async function countOf(sql: string): Promise<number> {
    const [row] = await target().admin(sql);
    return Number(row?.['found']);
  }

  async function isSettled(consumers: readonly string[], markers: readonly string[]): Promise<boolean> {
    const handled = await target().admin('SELECT FROM effects WHERE consumer = ANY ($1) AND key = ANY ($2)', [
      consumers,
      markers,
    ]);
    const parked = await nexus().admin("SELECT FROM deliveries WHERE state <> 'dead'");
    return handled.length >= consumers.length * markers.length && parked.length === 0;
  }
  return chaos;
}

function startLoad(url: string, limit: () => number): Load {
  const writers = 8;
  const pool = new Pool({ connectionString: url, max: writers });
  pool.on('error', () => undefined);
  pool.on('connect', (client) => void client.on('error', () => undefined));
  let isStopped = false;
  let published = 0;
  const write = async () => {
    while (!isStopped) {
      if (published >= limit()) {
        await sleep(10);
        continue;
      }
      // The history has what was committed. A transaction whose outcome is unknown is therefore not repeated.
      const committed = await publishLate(pool).catch(() => sleep(10, 0));
      published += committed;
    }
  };
  const all = Promise.all(Array.from({ length: writers }, write));
  return {
    stop: async () => {
      isStopped = true;
      await all;
      if (!pool.ending) await pool.end();
    },
  };
}

/** Returns the number of events. */
async function publishLate(pool: Pool): Promise<number> {
  const client = await pool.connect();
  let isSound = false;
  try {
    const keys = Array.from({ length: 5 }, () => `key-${Math.floor(Math.random() * KEYS)}`);
    await client.query('BEGIN');
    await client.query('SELECT publish_next($1, $2)', [keys, '']);
    await client.query('SELECT pg_sleep(random() * 0.02)');
    await client.query('COMMIT');
    isSound = true;
    return keys.length;
  } finally {
    client.release(!isSound);
  }
}

/** A key in each lane. */
function markersOf(round: number): readonly string[] {
  const markers = new Map<number, string>();
  for (let number = 0; markers.size < LANES; number += 1) {
    const key = `marker-${round}-${number}`;
    const lane = (createHash('sha256').update(key).digest()[0] ?? 0) % LANES;
    if (!markers.has(lane)) markers.set(lane, key);
  }
  return [...markers.values()];
}

/** Waits for something that another process makes true. The server may be away meanwhile. */
export async function until(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue().catch(() => false))) await sleep(20);
}

async function untilAnswered(work: () => Promise<void>): Promise<void> {
  await until(() => work().then(() => true));
}
