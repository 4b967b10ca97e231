/** @server any */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { withUrlParts } from '@azora/db-core';
import { defineConsumer } from '@azora/db-core/events';
import { openBus } from '@azora/db-events';
import { withClient } from '@azora/db-fleet';
import { CTRL_C, openTerminal, repositoryRoot, testServerUrl } from '@azora/db-testkit';
import { describeWithNats, useNatsServer } from '../packages/events/tests/nats-server';
import { openFamily } from '../services/family/src';
import { azoraDb, type CliResult } from './cli';

const CONSUMER = 'family.record';
const prefix = `azt_${randomBytes(3).toString('hex')}_`;
const urlOf = (service: string) => withUrlParts(testServerUrl(), { database: `${prefix}${service}` });
const sql = (text: string) =>
  withClient(urlOf('family'), async (client) => (await client.query(text)).rows as Record<string, unknown>[]);
const json = ({ stdout }: CliResult) => JSON.parse(stdout);
const failedWith = (code: string, exitCode = 2) => ({ exitCode, stderr: expect.stringContaining(`[${code}]`) });

/** Waits for what a worker or a relay makes true. */
async function until(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, 50));
}

describeWithNats('azora-db events with a NATS server', () => {
  const server = useNatsServer();
  const home = mkdtempSync(path.join(os.tmpdir(), 'azora-broker-'));
  const environment = () => ({
    DATABASE_URL: testServerUrl().href,
    AZORA_DB_PREFIX: prefix,
    AZORA_HOME: home,
    AZORA_SERVICES: 'family,nexus',
    AZORA_BUS_URL: server().url,
  });
  const run = (args: string, env: Readonly<Record<string, string>> = {}) =>
    azoraDb(args.split(' '), { env: { ...environment(), ...env } });
  const status = async () => json(await run('events status --json'));
  const confirmed = () => `--confirm 127.0.0.1:${server().port}`;
  const publish = (first: number, last: number) =>
    sql(`SELECT publish_event('family.counted.v1', 'one', jsonb_build_object('n', n), NULL)
         FROM generate_series(${first}, ${last}) AS n`);
  const publishLongAgo = async (first: number, last: number) => {
    await publish(first, last);
    await sql(`UPDATE outbox SET created_at = created_at - interval '2 minutes'`);
  };
  /** Runs a relay until it has relayed everything. Returns the state of the outbox before it ended. */
  const relayAll = async () => {
    const { PATH = '' } = process.env;
    const bin = path.join(repositoryRoot(), 'packages', 'fleet', 'bin', 'azora-db.js');
    const relay = openTerminal([process.execPath, bin, 'events', 'relay', '--service', 'family'], {
      cwd: repositoryRoot(),
      env: { PATH, HOME: home, ...environment() },
    });
    await until(async () => (await status()).sources[0].outbox.waiting === 0);
    const during = (await status()).sources[0];
    relay.type(CTRL_C);
    await relay.ended;
    return during;
  };

  /** Starts a worker that fails to handle the event with this number. Returns what stops it. */
  const startWorker = async (fails: number) => {
    const bus = openBus({ url: server().url, logger: { warn: () => undefined } });
    const family = openFamily({ url: urlOf('family').href });
    const stopping = new AbortController();
    const consumer = defineConsumer({
      name: CONSUMER,
      types: ['family.counted.v1'],
      maxAttempts: 1,
      handle: async (_, { data }) => {
        if ((data as { readonly n: number }).n === fails) throw new TypeError('refused');
      },
    });
    const running = bus.subscribe(family, consumer, { signal: stopping.signal });
    return async () => {
      stopping.abort();
      await running;
      await Promise.all([bus.close(), family.close()]);
    };
  };
  const handled = async (count: number) =>
    until(async () => (await sql('SELECT FROM inbox')).length === count && (await consumer()).lag === 0);
  const consumer = async () => (await status()).consumers[0];

  beforeAll(async () => {
    expect(await run('setup --no-build --json')).toMatchObject({ exitCode: 0 });
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

  it('shows an outbox that nobody relays any more, in the doctor too, and what a relay did', async () => {
    await publishLongAgo(1, 1);
    const unused = await run('events status --check');
    await relayAll();
    await publishLongAgo(2, 3);
    const before = await run('events status --check');
    const doctor = json(await run('migrate doctor --json'));
    const during = await relayAll();

    // A fleet without consumers needs no relay.
    expect(unused).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^family +1 .*none +0 +never$/m) });
    expect(unused.stdout).toContain('no consumer has subscribed at the broker');
    expect(before).toMatchObject({ exitCode: 4, stdout: expect.stringMatching(/^family +2 /m) });
    expect(doctor.findings).toContainEqual(
      expect.objectContaining({ service: 'family', check: 'event-relay', object: 'outbox' }),
    );
    expect(during).toMatchObject({ service: 'family', isRelayed: true, relayed: 3, standsStill: false });
    expect((await status()).sources[0]).toMatchObject({ isRelayed: false, lapsedSeconds: null });
    expect(json(await run('status --json')).events).toMatchObject({ broker: { error: null }, consumers: [] });
  });

  it('lists dead letters, retries one and gives one up', async () => {
    const stop = await startWorker(2);
    await handled(2);
    expect(await consumer()).toMatchObject({ name: CONSUMER, workers: 1, lanesWithoutWorker: 0, dead: 1, retries: 0 });
    await stop();
    const list = await run('events dead list');
    const wrong = await run(`events dead retry ${CONSUMER} 2`);
    const retried = await run(`events dead retry ${CONSUMER} family:2 --json`);
    const again = await run(`events dead retry ${CONSUMER} family:2`);
    const stopSecond = await startWorker(2);
    await until(async () => (await consumer()).dead === 1);
    await stopSecond();
    const asked = await run(`events dead discard ${CONSUMER}`);
    const discarded = await run(`events dead discard ${CONSUMER} ${confirmed()} --json`);

    expect(list.stdout).toMatch(/^family\.record +family:2 +family\.counted\.v1 +one +1 .*TypeError$/m);
    expect(wrong).toMatchObject(failedWith('USAGE.INVALID_ARGUMENTS'));
    expect(json(retried)).toMatchObject({ ok: true, positions: ['family:2'] });
    expect(again).toMatchObject(failedWith('EVENTS.NO_DEAD_LETTER'));
    expect(asked).toMatchObject(failedWith('USAGE.NEEDS_CONFIRM'));
    expect(asked.stderr).toContain(confirmed());
    expect(json(discarded)).toMatchObject({ ok: true, positions: ['family:2'] });
    expect((await run('events dead list')).stdout).toBe('no dead letters\n');
    expect(await run('events dead list nobody.here')).toMatchObject(failedWith('EVENTS.UNKNOWN_CONSUMER'));
  });

  it('delivers events again after a confirmation', async () => {
    const replay = (args: string) => run(`events replay ${CONSUMER} --from ${args}`);

    expect(await replay('2')).toMatchObject(failedWith('USAGE.INVALID_ARGUMENTS'));
    expect(await replay('mint:1')).toMatchObject(failedWith('EVENTS.UNKNOWN_SOURCE'));
    expect(await replay('family:2')).toMatchObject({
      ...failedWith('USAGE.NEEDS_CONFIRM'),
      stderr: expect.stringContaining(`deliver 2 events again to ${CONSUMER}, from position family:2 on`),
    });
    expect(await consumer()).toMatchObject({ lag: 0 });
    expect(json(await replay(`family:2 ${confirmed()} --json`))).toMatchObject({ from: 'family:2', events: 2 });
    expect(await consumer()).toMatchObject({ lag: 2, workers: 0, lanesWithoutWorker: 16 });
    expect(json(await replay(`2026-01-01T00:00Z ${confirmed()} --json`))).toMatchObject({
      from: 'family:1',
      events: 1,
    });
    const stop = await startWorker(0);
    await handled(3);
    await stop();
  });

  it('forgets a consumer unless a worker has a lease', async () => {
    const stop = await startWorker(0);
    await until(async () => (await consumer()).workers === 1);
    const running = await run(`events forget ${CONSUMER} ${confirmed()}`);
    await stop();
    const gone = await run(`events forget ${CONSUMER} ${confirmed()} --json`);

    expect(running).toMatchObject(failedWith('EVENTS.CONSUMER_RUNS'));
    expect(gone).toMatchObject({ exitCode: 0 });
    expect((await status()).consumers).toEqual([]);
    const stopNew = await startWorker(0);
    await until(async () => (await consumer())?.lag === 0);
    await stopNew();
  });

  it('says that the broker does not answer, and the reports about more than events continue', async () => {
    const away = { AZORA_BUS_URL: 'nats://ada:secret@127.0.0.1:1' };
    const [events, fleet, doctor] = await Promise.all([
      run('events status', away),
      run('status --json', away),
      run('migrate doctor --json', away),
    ]);

    expect(events).toMatchObject(failedWith('EVENTS.BROKER_UNREACHABLE', 1));
    expect(json(fleet).events).toMatchObject({ broker: { error: { code: 'EVENTS.BROKER_UNREACHABLE' } } });
    expect(json(doctor).findings).toContainEqual(
      expect.objectContaining({ check: 'event-broker', object: 'AZORA_BUS_URL' }),
    );
    expect(`${events.stderr}${fleet.stdout}${doctor.stdout}`).not.toContain('secret');
    expect(await run('events dead list', { AZORA_BUS_URL: 'nats://' })).toMatchObject(failedWith('CONFIG.BAD_URL'));
  });
});
