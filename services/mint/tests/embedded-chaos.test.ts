import { chaosSeed, printReport } from './chaos/report';
import { runChaos } from './chaos/run';
import { type ChaosServer, createLedger, openChaosServer } from './chaos/server';

jest.setTimeout(300_000);

describe('the ledger under some chaos', () => {
  let server: ChaosServer;
  beforeAll(async () => {
    server = await openChaosServer();
  });
  afterAll(() => server.close());

  it('is whole after 2,000 operations, dropped connections and a kill of the server', async () => {
    const seed = chaosSeed();
    const ledger = await createLedger(server, 'azt_chaos');

    const report = await runChaos(server, ledger, { operations: 2_000, seed, kills: 1 });

    printReport(report);
    const { faults, begun, events } = report;
    expect({ seed, faults, begun, kills: events['killed'] }).toEqual({ seed, faults: [], begun: 2_000, kills: 1 });
  });
});
