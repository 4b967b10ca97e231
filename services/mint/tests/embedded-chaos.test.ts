/** @server none */
import { withClient } from '@azora/db-fleet';
import { chaosSeed, printReport } from './chaos/report';
import { runChaos } from './chaos/run';
import { type ChaosServer, countDeadlocks, createLedger, openChaosServer } from './chaos/server';

jest.setTimeout(300_000);

describe('the ledger under a short chaos run', () => {
  let server: ChaosServer;
  beforeAll(async () => {
    server = await openChaosServer();
  });
  afterAll(() => server.close());

  it('is consistent after 2,000 operations, dropped connections and a kill of the server', async () => {
    const seed = chaosSeed();
    const ledger = await createLedger(server, 'azt_chaos');

    const report = await runChaos(server, ledger, { operations: 2_000, seed, kills: 1 });

    printReport(report);
    const { problems, begun, events } = report;
    expect({ seed, problems, begun, kills: events['killed'], deadlocks: events['deadlocks'] }).toEqual({
      ...{ seed, problems: [], begun: 2_000, kills: 1, deadlocks: 0 },
    });
  });

  it('counts every deadlock, also one before a kill of the server', async () => {
    const { admin } = await createLedger(server, 'azt_chaos_deadlock');
    const before = await countDeadlocks(server);
    const lock = (wallet: string) => `SELECT FROM wallets WHERE id = '${wallet}-AZR' FOR UPDATE`;

    await withClient(admin, (one) =>
      withClient(admin, async (other) => {
        await Promise.all([one.query(`BEGIN; ${lock('treasury')}`), other.query(`BEGIN; ${lock('staking')}`)]);
        const ends = await Promise.allSettled([one.query(lock('staking')), other.query(lock('treasury'))]);
        expect(ends.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      }),
    );
    await server.killAndRestart();

    expect((await countDeadlocks(server)) - before).toBe(1);
  });
});
