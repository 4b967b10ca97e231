/** @server none */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { startEmbedded, stopEmbedded } from '@azora/db-fleet';
import { type Direction, type FaultProxy, openFaultProxy, testEffort } from '@azora/db-testkit';
import { type Chaos, until, useChaos } from './chaos-fixture';

/** Ends connections of each proxy at any byte of what they send, then makes the others slow. */
async function cutConnections(chaos: Chaos, proxies: readonly FaultProxy[], direction: Direction): Promise<void> {
  for (const proxy of proxies) {
    const before = proxy.cuts();
    proxy.set(direction, { limitBytes: 1 + Math.floor(Math.random() * 5_000) });
    await until(async () => {
      // An event for every connection, because the load may be waiting for this test.
      await chaos.publish(['key-0']);
      return proxy.cuts() > before;
    });
    proxy.set('upstream', { latencyMs: 2, jitterMs: 2 });
    proxy.set('downstream', {});
  }
}

/** How many effects pass between two faults, and how many faults there are: each kind once at least. */
const STEP = 100;
const FAULTS = 4 * testEffort();

describe('the bus on a server of its own', () => {
  const home = mkdtempSync(path.join(os.tmpdir(), 'azora-chaos-'));
  let server: Awaited<ReturnType<typeof startEmbedded>>;
  beforeAll(async () => {
    server = await startEmbedded({ home });
    process.env['TEST_DATABASE_URL'] = server.url.href;
  });
  afterAll(async () => {
    await stopEmbedded({ home });
    rmSync(home, { recursive: true, force: true });
  });

  describe('loses nothing, doubles nothing and keeps the order of each key', () => {
    const chaos = useChaos();
    const proxies: FaultProxy[] = [];
    afterEach(() => Promise.all(proxies.splice(0).map((proxy) => proxy.close())));

    it('when its processes are killed', async () => {
      const load = chaos.startLoad();
      let relay = await chaos.startRelay();
      const workers = [await chaos.startConsumer(), await chaos.startConsumer()];
      for (let fault = 0; fault < FAULTS; fault += 1) {
        await chaos.progress(STEP);
        if (fault % 3 === 2) {
          await relay.kill();
          relay = await chaos.startRelay();
        } else {
          await workers.shift()?.kill();
          workers.push(await chaos.startConsumer());
        }
        await chaos.endLeases();
      }
      await load.stop();

      expect(await chaos.findings()).toEqual([]);
    });

    it('when its sessions are terminated', async () => {
      const { source, target, nexus } = chaos.databases();
      const load = chaos.startLoad();
      await Promise.all([chaos.startRelay(), chaos.startConsumer(), chaos.startConsumer()]);
      for (let fault = 0; fault < FAULTS; fault += 1) {
        await chaos.progress(STEP);
        for (const database of [source, target, nexus]) {
          await database.admin(
            'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = $1',
            [database.target.role],
          );
        }
      }
      await load.stop();

      expect(await chaos.findings()).toEqual([]);
    });

    it('when the server restarts, and when it crashes', async () => {
      const load = chaos.startLoad();
      await Promise.all([chaos.startRelay(), chaos.startConsumer(), chaos.startConsumer()]);
      for (const fault of ['restart', 'crash', 'restart']) {
        await chaos.progress(2 * STEP);
        if (fault === 'restart') await stopEmbedded({ home });
        else process.kill(server.pid, 'SIGKILL');
        server = await startEmbedded({ home });
      }
      await load.stop();

      expect(await chaos.findings()).toEqual([]);
    });

    it('when its connections are reset, cut in the middle of a message, slow or refused', async () => {
      const open = async () => {
        const proxy = await openFaultProxy(server.url);
        proxies.push(proxy);
        return proxy;
      };
      const [toLog, toSource, toTarget] = [await open(), await open(), await open()];
      const { source, target, nexus } = chaos.databases();
      const load = chaos.startLoad();
      const bus = toLog.through(nexus.url);
      await chaos.startRelay({ bus, url: toSource.through(source.url) });
      for (let worker = 0; worker < 2; worker += 1)
        await chaos.startConsumer({}, { bus, url: toTarget.through(target.url) });
      for (let fault = 0; fault < FAULTS; fault += 1) {
        await chaos.progress(STEP);
        await cutConnections(chaos, proxies, fault % 2 === 0 ? 'upstream' : 'downstream');
        await chaos.progress(1);
        for (const proxy of proxies) {
          proxy.down();
          proxy.up();
        }
      }
      await load.stop();

      expect(await chaos.findings()).toEqual([]);
    });

    it('when a worker stands still in a batch until others have its lanes', async () => {
      const load = chaos.startLoad();
      await chaos.startRelay();
      const slow = await chaos.startConsumer();
      const { nexus } = chaos.databases();
      for (let fault = 0; fault < 2 * testEffort(); fault += 1) {
        await chaos.progress(STEP);
        slow.freeze();
        await chaos.endLeases();
        const other = await chaos.startConsumer();
        const taken = async () => (await nexus.admin('SELECT FROM takeovers')).length > fault * 16;
        await until(taken);
        slow.thaw();
        await chaos.progress(STEP);
        await other.stop();
      }
      await load.stop();

      expect(await chaos.findings()).toEqual([]);
    });
  });
});
