/** @server any */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { withUrlParts } from '@azora/db-core';
import { withClient } from '@azora/db-fleet';
import { CTRL_C, openTerminal, repositoryRoot, type Terminal, testServerUrl } from '@azora/db-testkit';
import { azoraDb, type CliResult } from './cli';

const CONSUMER = 'family.record';
const prefix = `azt_${randomBytes(3).toString('hex')}_`;
const home = mkdtempSync(path.join(os.tmpdir(), 'azora-events-'));
const environment = {
  DATABASE_URL: testServerUrl().href,
  AZORA_DB_PREFIX: prefix,
  AZORA_HOME: home,
  AZORA_SERVICES: 'family,nexus',
};
const urlOf = (service: string) => withUrlParts(testServerUrl(), { database: `${prefix}${service}` });
const sql = (service: string, text: string) =>
  withClient(urlOf(service), async (client) => (await client.query(text)).rows as Record<string, unknown>[]);
const run = (args: string, env: Readonly<Record<string, string>> = {}) =>
  azoraDb(args.split(' '), { env: { ...environment, ...env } });
const json = ({ stdout }: CliResult) => JSON.parse(stdout);
const confirmed = `--confirm ${prefix}nexus`;

/** Events of one key, as a relay appends them. */
const relayed = (count: number) => `
  SELECT claim_source('family', '00000000-0000-4000-8000-000000000001', 'here', '1 minute');
  SELECT append_events('family', '00000000-0000-4000-8000-000000000001', '1 minute', '1:1:', NULL, NULL,
    array_agg(gen_random_uuid()), array_agg('family.counted.v1'::text), array_agg('one'::text), array_agg('{}'::text), array_agg(NULL::text),
    array_agg(now())) FROM generate_series(1, ${count})`;

const JOINED = `SELECT join_subscription('family.count', ARRAY['family.counted.v1'], 3, 'start')`;
const RELAYED_BEFORE = `
  SELECT claim_source('family', '00000000-0000-4000-8000-000000000001', 'here', '1 minute');
  SELECT release_source('family', '00000000-0000-4000-8000-000000000001')`;

/** Publishes events of one key in the family database. */
const publish = (count: number, key = 'one') =>
  sql(
    'family',
    `SELECT publish_event('family.counted.v1', '${key}', jsonb_build_object('n', n), NULL) FROM generate_series(1, ${count}) AS n`,
  );

beforeAll(async () => {
  expect(await run('setup --no-build --json')).toMatchObject({ exitCode: 0 });
});
afterEach(async () => {
  await sql('nexus', 'TRUNCATE events, subscriptions, event_sources CASCADE; UPDATE event_log SET head = 0, floor = 0');
  await sql('family', 'TRUNCATE outbox; UPDATE outbox_relay SET identity = NULL');
});
afterAll(async () => {
  await withClient(testServerUrl(), async (client) => {
    for (const service of ['family', 'nexus']) {
      await client.query(`DROP DATABASE IF EXISTS "${prefix}${service}" WITH (FORCE)`);
      await client.query(`DROP ROLE IF EXISTS "${prefix}${service}_app"`);
    }
  });
  rmSync(home, { recursive: true, force: true });
});

const MOVE_LANES =
  'SELECT move_lanes(subscription, array_agg(lane), array_agg(4::bigint), false) FROM subscription_lanes GROUP BY subscription';

describe('azora-db events', () => {
  it('shows an idle fleet', async () => {
    const status = await run('events status --check');

    expect(status).toMatchObject({ exitCode: 0, stderr: '' });
    expect(status.stdout).toMatch(/^family +0 +none +0 +never$/m);
    expect(status.stdout).toContain('no consumer has joined the event log');
  });

  describe('for an outbox that nobody relays', () => {
    it('does not report it while no consumer has joined and no relay has run, as in a fleet that was just seeded', async () => {
      await publish(3);
      await sql('family', `UPDATE outbox SET created_at = '2020-01-01'`);

      expect(await run('events status --check')).toMatchObject({ exitCode: 0 });
      expect(findingsIn(await run('migrate doctor --json'))).not.toContainEqual(
        expect.objectContaining({ check: 'event-relay' }),
      );
    });

    it.each([
      ['a consumer has joined', JOINED],
      ['a relay has run', RELAYED_BEFORE],
    ])('reports it after a minute, not before, once %s', async (_, awaited) => {
      await sql('nexus', awaited);
      await publish(3);
      const young = await run('events status --check');
      await sql('family', `UPDATE outbox SET created_at = created_at - interval '2 minutes'`);
      const old = await run('events status --check');

      expect(young).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^family +3 /m) });
      expect(old).toMatchObject({
        exitCode: 4,
        stdout: expect.stringContaining('no relay runs → run "npx azora-db events relay"'),
      });
    });

    it('reports it in status and in the doctor', async () => {
      await sql('nexus', RELAYED_BEFORE);
      await publish(2);
      await sql('family', `UPDATE outbox SET created_at = created_at - interval '2 minutes'`);
      const status = await run('status --json');
      const doctor = await run('migrate doctor --json');

      expect(json(status).events).toMatchObject({
        sources: [{ service: 'family', outbox: { waiting: 2 }, isRelayed: false, standsStill: true }, {}],
        consumers: [],
      });
      expect((await run('status')).stdout).toContain(
        'events: 2 events of family not relayed; run "npx azora-db events relay"',
      );
      expect(findingsIn(doctor)).toContainEqual(
        expect.objectContaining({ service: 'family', check: 'event-relay', level: 'warning', object: 'outbox' }),
      );
    });

    it('counts the events of a transaction that commits after the relay has read', async () => {
      await withClient(urlOf('family'), async (client) => {
        await client.query(`BEGIN; SELECT publish_event('family.counted.v1', 'late', '{"n": 1}', NULL)`);
        await publish(2, 'early');
        await relayUntil(2);
        await client.query('COMMIT');
      });

      expect(json(await run('events status --json')).sources[0]).toMatchObject({
        service: 'family',
        outbox: { waiting: 1 },
        relayed: 2,
      });
    });
  });

  describe('relay', () => {
    it('moves events until Ctrl-C, and gives its lease back', async () => {
      await publish(3);
      const terminal = open('events relay');
      await terminal.waitFor(/family {2}3 events relayed/);
      const during = json(await run('events status --json')).sources[0];
      terminal.type(CTRL_C);

      expect(await terminal.ended).toBe(130);
      expect(terminal.output()).toContain('Stopping the relays. Press Ctrl-C again to stop immediately');
      expect(terminal.output()).toContain('The relays have stopped: 2 done');
      expect(during).toMatchObject({ isRelayed: true, outbox: { waiting: 0 } });
      expect(json(await run('events status --json')).sources[0]).toMatchObject({ isRelayed: false, relayed: 3 });
      expect(await sql('nexus', 'SELECT count(*)::int AS events FROM events')).toEqual([{ events: 3 }]);
    });

    it('does not start without a log, and says how to get one', async () => {
      const other = urlOf('family').href;

      expect(await run('events relay', { AZORA_SERVICES: 'family' })).toMatchObject(failedWith('EVENTS.NO_LOG'));
      expect(await run('events relay', { NEXUS_DATABASE_URL: other.replace(/[^/]+$/, 'postgres') })).toMatchObject(
        failedWith('EVENTS.NOT_MIGRATED'),
      );
      expect(await run('events relay', { NEXUS_DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nexus' })).toMatchObject(
        failedWith('SERVER.UNREACHABLE', 1),
      );
    });
  });

  describe('status', () => {
    it('continues after an outbox that it cannot read', async () => {
      const empty = urlOf('family').href.replace(/[^/]+$/, 'postgres');
      const status = await run('events status --json --check', { FAMILY_DATABASE_URL: empty });

      expect(status.exitCode).toBe(4);
      expect(json(status).sources).toMatchObject([
        { service: 'family', outbox: null, error: { code: 'EVENTS.NOT_MIGRATED' } },
        { service: 'nexus', outbox: { waiting: 0 }, error: null },
      ]);
    });

    it('fails without a log, while the status of the fleet has no events', async () => {
      const without = { AZORA_SERVICES: 'family' };

      expect(await run('events status', without)).toMatchObject(failedWith('EVENTS.NO_LOG'));
      expect(json(await run('status --json', without)).events).toBeNull();
    });
  });

  describe('for a consumer', () => {
    beforeEach(async () => {
      await sql('nexus', relayed(4));
      await sql('nexus', `SELECT join_subscription('${CONSUMER}', ARRAY['family.counted.v1'], 3, 'start')`);
    });

    it('reports that it stands still, and that it holds old events in the log', async () => {
      await sql('nexus', `UPDATE events SET created_at = created_at - interval '9 days'`);
      const status = await run('events status --check --json');
      const text = await run('status');
      const doctor = await run('migrate doctor --json');

      expect(status.exitCode).toBe(4);
      expect(json(status).consumers).toMatchObject([
        { name: CONSUMER, lag: 4, workers: 0, lanesWithoutWorker: 16, heldEvents: 4, standsStill: true },
      ]);
      expect(text.stdout).toMatch(/^family\.record +4 +9 days +0 +16 +0 +0 +0$/m);
      expect(findingsIn(doctor)).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ check: 'event-consumer', object: CONSUMER }),
          expect.objectContaining({
            check: 'event-retention',
            next: expect.stringContaining(`"npx azora-db events forget ${CONSUMER}"`),
          }),
        ]),
      );
    });

    it('finds leases that nobody renews', async () => {
      await sql(
        'nexus',
        `INSERT INTO subscription_workers VALUES ('${CONSUMER}', gen_random_uuid(), now() - interval '1 minute');
         SELECT move_lanes(subscription, array_agg(lane), array_agg(4::bigint), false) FROM subscription_lanes GROUP BY subscription;
         UPDATE event_sources SET owner = gen_random_uuid(), leased_until = now() - interval '2 minutes'`,
      );

      expect(findingsIn(await run('migrate doctor --json'))).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ service: 'family', check: 'event-lease', object: 'outbox' }),
          expect.objectContaining({ service: 'nexus', check: 'event-lease', object: CONSUMER }),
        ]),
      );
    });

    it('finds sagas that are stuck, and those that no worker takes', async () => {
      await sql(
        'nexus',
        `SELECT start_saga('trip.book', key, '{}', '{book,pay}', NULL, 1) FROM unnest('{stuck,alone,young}'::text[]) AS key;
         SELECT FROM claim_sagas(gen_random_uuid(), '[{"name": "trip.book", "steps": ["book", "pay"]}]', 3, 100);
         UPDATE sagas SET state = 'stuck', owner = NULL, version = version + 1 WHERE key = 'stuck';
         UPDATE sagas SET next_at = now() - interval '2 minutes', owner = NULL, version = version + 1 WHERE key = 'alone'`,
      );
      const doctor = await run('migrate doctor --json');
      await sql('nexus', 'TRUNCATE sagas');

      const found = { service: 'nexus', level: 'warning', object: 'trip.book' };
      expect(findingsIn(doctor)).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ ...found, check: 'saga-stuck', message: expect.stringMatching(/^has 1 saga /) }),
          expect.objectContaining({ ...found, check: 'saga-still', message: expect.stringMatching(/^has 1 saga /) }),
        ]),
      );
    });

    it('lists dead letters, retries one and gives the others up', async () => {
      await sql(
        'nexus',
        `INSERT INTO deliveries (subscription, position, key, lane, state, attempts, last_error)
         SELECT '${CONSUMER}', position, key, lane, 'dead', 3, 'MINT.NOT_FOUND' FROM events WHERE position < 4`,
      );
      const list = await run('events dead list');
      const retried = await run(`events dead retry ${CONSUMER} 2 --json`);
      const again = await run(`events dead retry ${CONSUMER} 2`);
      const asked = await run(`events dead discard ${CONSUMER}`);
      const discarded = await run(`events dead discard ${CONSUMER} ${confirmed} --json`);

      expect(list.stdout).toMatch(/^family\.record +3 +family\.counted\.v1 +one +3 .*MINT\.NOT_FOUND$/m);
      expect(json(retried)).toMatchObject({ ok: true, positions: ['2'] });
      expect(again).toMatchObject(failedWith('EVENTS.NO_DEAD_LETTER'));
      expect(asked).toMatchObject(failedWith('USAGE.NEEDS_CONFIRM'));
      expect(json(discarded)).toMatchObject({ ok: true, positions: ['1', '3'] });
      expect(await sql('nexus', 'SELECT position::int, state::text FROM deliveries')).toEqual([
        { position: 2, state: 'retry' },
      ]);
      expect((await run('events dead list')).stdout).toBe('no dead letters\n');
      expect(await run('events dead retry')).toMatchObject(failedWith('USAGE.INVALID_ARGUMENTS'));
      expect(await run('events dead list nobody.here')).toMatchObject(failedWith('EVENTS.UNKNOWN_CONSUMER'));
    });

    it('counts every dead letter, finds each by its position, and says how many it lists', async () => {
      await sql('nexus', relayed(500));
      await sql(
        'nexus',
        `INSERT INTO deliveries (subscription, position, key, lane, state, attempts)
         SELECT '${CONSUMER}', position, key, lane, 'dead', 3 FROM events WHERE position < 504`,
      );
      const list = json(await run('events dead list --json'));
      const last = json(await run(`events dead list ${CONSUMER} 0503 --json`));

      expect([list.total, list.deadLetters.length]).toEqual([503, 500]);
      expect(last).toMatchObject({ total: 1, deadLetters: [{ position: '503' }] });
      expect((await run('events dead list')).stdout).toContain('The first 500 of 503 are listed');
      expect((await run(`events dead discard ${CONSUMER}`)).stderr).toContain(
        `give up 503 dead letters of ${CONSUMER}`,
      );
      expect((await run(`events dead discard ${CONSUMER} 503`)).stderr).toContain('give up the dead letter 503 of');
      expect(await run(`events dead discard ${CONSUMER} 504`)).toMatchObject(failedWith('EVENTS.NO_DEAD_LETTER'));
      expect(await run(`events dead list ${CONSUMER} 504`)).toMatchObject(failedWith('EVENTS.NO_DEAD_LETTER'));
      expect(await run(`events dead list ${CONSUMER} mint:1`)).toMatchObject(failedWith('USAGE.INVALID_ARGUMENTS'));
    });

    it('skips nothing when a replay begins behind what it has handled', async () => {
      expect(json(await run(`events replay ${CONSUMER} --from 5 ${confirmed} --json`))).toMatchObject({ events: 0 });
      await run(`events replay ${CONSUMER} --from 2999-01-01T00:00Z ${confirmed}`);

      expect(await positions()).toEqual([0]);
      expect(json(await run('events status --json')).consumers).toMatchObject([{ name: CONSUMER, lag: 4 }]);
    });

    it('delivers events again after a confirmation', async () => {
      await sql('nexus', MOVE_LANES);
      const refused = open(`events replay ${CONSUMER} --from 3`);
      await refused.waitFor(/Type \S+ to continue: /);
      refused.type('no\r');

      expect(await refused.ended).toBe(2);
      expect(refused.output()).toContain(`deliver 2 events again to ${CONSUMER}, from position 3 on`);
      expect(refused.output()).toContain('events that its inbox knows have no effect again');
      expect(await positions()).toEqual([4]);
      expect(json(await run(`events replay ${CONSUMER} --from 3 ${confirmed} --json`))).toMatchObject({
        ok: true,
        from: '3',
        events: 2,
      });
      expect(await positions()).toEqual([2]);
      const byTime = json(await run(`events replay ${CONSUMER} --from 2026-01-01T00:00Z ${confirmed} --json`));
      expect(byTime).toMatchObject({ from: '1', events: 2 });
      expect(await positions()).toEqual([0]);
      expect(await run(`events replay ${CONSUMER} --from 2026-01-01`)).toMatchObject(
        failedWith('USAGE.INVALID_ARGUMENTS'),
      );
    });

    it('says that the log has deleted events in front of a replay', async () => {
      await sql('nexus', 'DELETE FROM events WHERE position < 3; UPDATE event_log SET floor = 2');
      await sql('nexus', MOVE_LANES);

      expect(json(await run(`events replay ${CONSUMER} --from 1 ${confirmed} --json`))).toMatchObject({
        from: '3',
        events: 2,
        isCut: true,
      });
      const byTime = async (from: string) =>
        json(await run(`events replay ${CONSUMER} --from ${from} ${confirmed} --json`)).isCut;
      expect(await byTime('2020-01-01T00:00Z')).toBe(true);
      expect(await byTime('2999-01-01T00:00Z')).toBe(false);
    });

    it('forgets it unless a worker has a lease', async () => {
      await sql(
        'nexus',
        `INSERT INTO subscription_workers VALUES ('${CONSUMER}', gen_random_uuid(), now() + interval '1 hour')`,
      );
      const running = await run(`events forget ${CONSUMER} ${confirmed}`);
      await sql('nexus', 'DELETE FROM subscription_workers');
      const gone = await run(`events forget ${CONSUMER} ${confirmed} --json`);

      expect(running).toMatchObject(failedWith('EVENTS.CONSUMER_RUNS'));
      expect(gone).toMatchObject({ exitCode: 0 });
      expect(await sql('nexus', 'SELECT * FROM subscriptions')).toEqual([]);
    });

    it('does not forget it while a worker is claiming a lease', async () => {
      const forget = await withClient(urlOf('nexus'), async (client) => {
        await client.query(
          `BEGIN; INSERT INTO subscription_workers VALUES ('${CONSUMER}', gen_random_uuid(), now() + interval '1 hour')`,
        );
        const running = run(`events forget ${CONSUMER} ${confirmed}`);
        await untilBlocked();
        await client.query('COMMIT');
        return running;
      });

      expect(forget).toMatchObject(failedWith('EVENTS.CONSUMER_RUNS'));
      expect(await sql('nexus', 'SELECT count(*)::int AS workers FROM subscription_workers')).toEqual([{ workers: 1 }]);
    });
  });
});

/** Runs the relays until the log has this number of events, as a script does. */
async function relayUntil(count: number): Promise<void> {
  const terminal = open('events relay --service family');
  await terminal.waitFor(new RegExp(`family {2}${count} events relayed`));
  terminal.type(CTRL_C);
  await terminal.ended;
}

/** Waits until a session of nexus waits for a lock. */
async function untilBlocked(): Promise<void> {
  const blocked = `SELECT FROM pg_stat_activity WHERE datname = '${prefix}nexus' AND wait_event_type = 'Lock'`;
  while ((await sql('nexus', blocked)).length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
}

function open(args: string): Terminal {
  const { PATH = '' } = process.env;
  const bin = path.join(repositoryRoot(), 'packages', 'fleet', 'bin', 'azora-db.js');
  return openTerminal([process.execPath, bin, ...args.split(' ')], {
    cwd: repositoryRoot(),
    env: { PATH, HOME: home, ...environment },
  });
}

async function positions(): Promise<readonly number[]> {
  const rows = await sql(
    'nexus',
    'SELECT DISTINCT lane_position(subscription, lane)::int AS position FROM subscription_lanes ORDER BY 1',
  );
  return rows.map(({ position }) => Number(position));
}

function findingsIn(doctor: CliResult): readonly unknown[] {
  return json(doctor).findings;
}

function failedWith(code: string, exitCode = 2) {
  return { exitCode, stderr: expect.stringContaining(`[${code}]`) };
}
