/** @server any */
import type { TestDatabase } from '@azora/db-testkit';
import { Client } from 'pg';
import { type Chaos, CONSUMER, until, useChaos } from './chaos-fixture';
import type { Finding, Rule } from './checker';
import { type Plant, plantInCode, plantInFunction } from './plant';
import { COMPILED, type Code } from './programs';

/** How long the checker waits for events that a bug has lost. */
const DEADLINE_MS = 15_000;
/** How long a relay that sleeps is given: without the bug, it would read again within half a second. */
const ASLEEP_MS = 5_000;

/** What a test plants: a change of one compiled file, or of SQL functions of the log. */
interface Bug {
  readonly file?: readonly [string, Plant];
  readonly functions?: Readonly<Record<string, readonly Plant[]>>;
  /** Further SQL in the database of the log, and what takes it back. */
  readonly sql?: readonly [string, string];
}

interface Scenario {
  readonly bug: Bug;
  readonly rule: Rule;
  /** A history in which the bug shows, and in which correct code does nothing wrong. */
  readonly run: (chaos: Chaos, code: Code, deadlineMs?: number) => Promise<readonly Finding[]>;
}

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'an acknowledgement before the commit': {
    bug: {
      file: [
        'db-events/dist/postgres/subscribe.js',
        {
          search: 'const handled = await (0, events_1.handleEvents)',
          bug: 'await this.#acknowledge({ ...NOTHING, reached });\n const handled = await (0, events_1.handleEvents)',
        },
      ],
    },
    rule: 'acknowledged before handled',
    run: async (chaos, code, deadlineMs) => {
      await Promise.all([chaos.startRelay(), chaos.startConsumer({}, {}, code)]);
      await chaos.publish(['a', 'b', 'c']);
      return chaos.findings([CONSUMER], deadlineMs);
    },
  },
  'a gap that a reader skips': {
    bug: {
      file: [
        'db-events/dist/outbox/read.js',
        {
          search: 'SELECT * FROM outbox WHERE transaction_id = ANY ($2::bigint[])',
          bug: 'SELECT * FROM outbox WHERE transaction_id = ANY ($2::bigint[]) AND false',
        },
      ],
    },
    rule: 'lost',
    run: async (chaos, code, deadlineMs) => {
      await Promise.all([chaos.startRelay({}, code), chaos.startConsumer()]);
      const load = chaos.startLoad();
      await chaos.progress(200);
      await load.stop();
      return chaos.findings([CONSUMER], deadlineMs);
    },
  },
  'a wake-up that is lost': {
    bug: {
      file: [
        'db-events/dist/relay.js',
        {
          search: 'this.#unheard = await (0, relay_row_1.runningTransactions)(outbox);',
          bug: 'this.#unheard = new Set();',
        },
      ],
    },
    rule: 'lost',
    run: async (chaos, code, deadlineMs) => {
      const { source } = chaos.databases();
      await source.admin('UPDATE outbox_relay SET asleep = false');
      await Promise.all([chaos.startRelay({ pollMs: 60_000 }, code), chaos.startConsumer()]);
      await publishAcrossFallingAsleep(source);
      // The markers would wake the relay, so the event itself has to arrive.
      const deadline = performance.now() + (deadlineMs === undefined ? Number.POSITIVE_INFINITY : ASLEEP_MS);
      const arrived = async () => (await chaos.databases().target.admin('SELECT FROM effects')).length > 0;
      await until(async () => performance.now() > deadline || (await arrived()));
      return (await arrived()) ? [] : [{ rule: 'lost', detail: 'the event did not arrive' }];
    },
  },
  'two relays of one source': {
    bug: {
      functions: {
        claim_source: [
          {
            search: 'is_held := coalesce(found_row.owner = p_owner OR found_row.leased_until <= at, true)',
            bug: 'is_held := true',
          },
        ],
        append_events: [
          { search: 'AND owner = p_owner FOR NO KEY UPDATE', bug: 'FOR NO KEY UPDATE' },
          { search: 'ON CONFLICT (event_id) DO NOTHING', bug: '' },
        ],
      },
      // The log drops what it has; without its index, it cannot.
      sql: [
        'DROP INDEX events_event_id_key',
        'TRUNCATE events CASCADE; CREATE UNIQUE INDEX events_event_id_key ON events (event_id)',
      ],
    },
    rule: 'doubled',
    run: async (chaos, code, deadlineMs) => {
      await Promise.all([chaos.startRelay({}, code), chaos.startRelay({}, code), chaos.startConsumer()]);
      const load = chaos.startLoad();
      await chaos.progress(200);
      await load.stop();
      return chaos.findings([CONSUMER], deadlineMs);
    },
  },
  'an order that a retry breaks': {
    bug: {
      functions: {
        fetch_events: [{ search: "d.key = found.key AND d.state <> 'dead') AS is_behind", bug: 'false) AS is_behind' }],
      },
    },
    rule: 'out of order',
    run: async (chaos, code, deadlineMs) => {
      const { nexus } = chaos.databases();
      await Promise.all([chaos.startRelay(), chaos.startConsumer({ failsOnce: ['a 1'] }, {}, code)]);
      await chaos.publish(['a']);
      await until(async () => (await nexus.admin("SELECT FROM deliveries WHERE state = 'retry'")).length === 1);
      await chaos.publish(['a', 'b']);
      await chaos.progress(1);
      const passed = `SELECT FROM subscription_progress WHERE position >= (SELECT max(position) FROM events WHERE key = 'a')
        AND lane = (SELECT max(lane) FROM events WHERE key = 'a')`;
      await until(async () => (await nexus.admin(passed)).length === 1);
      await chaos.endLeases();
      return chaos.findings([CONSUMER], deadlineMs);
    },
  },
  'an inbox outside of the transaction': {
    bug: {
      file: [
        'db-core/dist/events/handle-events.js',
        {
          search: 'await tx.$queryRawUnsafe(CLAIM, consumer.name, ids.join())',
          bug: 'await store.transaction((own) => own.$queryRawUnsafe(CLAIM, consumer.name, ids.join()))',
        },
      ],
    },
    rule: 'lost',
    run: async (chaos, code, deadlineMs) => {
      await chaos.startRelay();
      const killed = await chaos.startConsumer({ waitsAt: 'a 1' }, {}, code);
      await chaos.publish(['a', 'b']);
      await killed.isWaiting;
      await killed.kill();
      await chaos.endLeases();
      await chaos.startConsumer({}, {}, code);
      return chaos.findings([CONSUMER], deadlineMs);
    },
  },
  'a lease that expires early': {
    bug: {
      functions: {
        lease_lanes: [
          {
            search: '(o.owner IS NULL OR o.leased_until <= at)',
            bug: "(o.owner IS NULL OR o.leased_until <= at + interval '1 minute')",
          },
        ],
      },
    },
    rule: 'lease taken early',
    run: async (chaos, code, deadlineMs) => {
      await Promise.all([chaos.startRelay(), chaos.startConsumer({}, {}, code), chaos.startConsumer({}, {}, code)]);
      await chaos.publish(Array.from({ length: 100 }, (_, index) => `key-${index}`));
      await chaos.progress(100);
      return chaos.findings([CONSUMER], deadlineMs);
    },
  },
  'a replay without the inbox': {
    bug: {
      file: [
        'db-core/dist/events/handle-events.js',
        { search: 'const isNew = claimed.delete(event.id.toLowerCase());', bug: 'const isNew = true;' },
      ],
    },
    rule: 'doubled',
    run: async (chaos, code, deadlineMs) => {
      await Promise.all([chaos.startRelay(), chaos.startConsumer({}, {}, code)]);
      await chaos.publish(['a', 'b', 'c', 'd']);
      await chaos.progress(4);
      await chaos.databases().nexus.admin('SELECT replay_events($1, 0)', [CONSUMER]);
      return chaos.findings([CONSUMER], deadlineMs);
    },
  },
};

/** Publishes in a transaction that sees the relay awake, and commits it when the relay sleeps and has read for the last time. */
async function publishAcrossFallingAsleep({ target, admin }: TestDatabase): Promise<void> {
  const publisher = new Client(target.admin.href);
  await publisher.connect();
  await publisher.query('BEGIN');
  await publisher.query("SELECT publish_next(ARRAY['a'], '')");
  const hasRead = `SELECT FROM outbox_relay JOIN pg_stat_activity ON query_start > seen_at
    WHERE asleep AND datname = current_database() AND usename = $1 AND state = 'idle' AND query ~ 'unseen|pg_locks'`;
  await until(async () => (await admin(hasRead, [target.role])).length > 0);
  await publisher.query('COMMIT');
  await publisher.end();
}

/** Plants a bug. Returns the code with it, and a function that takes it back. */
async function plantBug(nexus: TestDatabase, { file, functions = {}, sql }: Bug) {
  const undo: (() => unknown)[] = [];
  for (const [name, plants] of Object.entries(functions)) undo.push(await plantInFunction(nexus, name, ...plants));
  if (sql !== undefined) {
    await nexus.admin(sql[0]);
    undo.push(() => nexus.admin(sql[1]));
  }
  const code = file === undefined ? undefined : plantInCode(...file);
  if (code !== undefined) undo.push(code.remove);
  return {
    code: code ?? COMPILED,
    remove: async () => {
      for (const each of undo.toReversed()) await each();
    },
  };
}

describe('the checker', () => {
  const chaos = useChaos();

  describe.each(Object.entries(SCENARIOS))('with %s', (_, { bug, rule, run }) => {
    it('finds the bug', async () => {
      const { code, remove } = await plantBug(chaos.databases().nexus, bug);
      try {
        const findings = await run(chaos, code, DEADLINE_MS);
        expect(findings.map((finding) => finding.rule)).toContain(rule);
      } finally {
        await remove();
      }
    });

    it('finds nothing without the bug', async () => {
      expect(await run(chaos, COMPILED)).toEqual([]);
    });
  });
});
