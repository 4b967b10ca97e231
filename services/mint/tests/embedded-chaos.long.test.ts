/** @server none */
import { withClient } from '@azora/db-fleet';
import { testEffort } from '@azora/db-testkit';
import { MUTATIONS, mutate } from './chaos/mutations';
import { chaosSeed, missingFrom, printReport } from './chaos/report';
import { runChaos } from './chaos/run';
import { type ChaosServer, createLedger, openChaosServer } from './chaos/server';

jest.setTimeout(1_200_000);

const OPERATIONS = 25_000 * testEffort();

const KINDS = [
  ...['transfer', 'transferMany', 'mint', 'reward', 'burn', 'hold', 'capture', 'release', 'sweep'],
  ...['stake', 'accrue', 'accrue all', 'claim', 'unstake', 'knowledge', 'repeat', 'twins'],
];
const REJECTIONS = [
  ...['transfer MINT.INSUFFICIENT_FUNDS', 'transfer MINT.CURRENCY_MISMATCH', 'transferMany MINT.INSUFFICIENT_FUNDS'],
  ...['capture MINT.HOLD_RESOLVED', 'capture MINT.HOLD_EXPIRED', 'release MINT.HOLD_RESOLVED'],
  ...['claim MINT.NOTHING_TO_CLAIM', 'unstake MINT.STAKE_LOCKED', 'unstake MINT.STAKE_WITHDRAWN'],
  ...['knowledge MINT.PROOF_REWARDED', 'reuse MINT.KEY_REUSED'],
];
/**
 * `arrived`: the request of a lost answer had taken effect; `not arrived`: it had not. A call that meets a server that is down has no
 * effect either, but a restart may take less time than the next call.
 */
const EVENTS = ['cut', 'terminated', 'answers lost', 'arrived', 'not arrived', 'sums read', 'reconciled meanwhile'];

describe('the ledger under chaos', () => {
  let server: ChaosServer;
  beforeAll(async () => {
    server = await openChaosServer();
  });
  afterAll(() => server.close());

  it(`is consistent after ${OPERATIONS} operations of 16 clients, dropped connections and two kills of the server`, async () => {
    const seed = chaosSeed();
    const ledger = await createLedger(server, 'azt_chaos');

    const report = await runChaos(server, ledger, { operations: OPERATIONS, seed, kills: 2 });

    printReport(report);
    const { problems, begun, events } = report;
    const missing = missingFrom(report, [...KINDS, ...REJECTIONS, ...EVENTS]);
    expect({ seed, problems, begun, missing, kills: events['killed'], deadlocks: events['deadlocks'] }).toEqual({
      ...{ seed, problems: [], begun: OPERATIONS, missing: [], kills: 2, deadlocks: 0 },
    });
  });

  it.each(MUTATIONS)('detects a ledger that $title', async (mutation) => {
    const seed = chaosSeed();
    const ledger = await createLedger(server, `azt_chaos_${MUTATIONS.indexOf(mutation)}`);
    await mutate(ledger, mutation);

    const { problems, begun } = await runChaos(server, ledger, { operations: 5_000, seed, kills: 0 });

    process.stderr.write(`chaos: after ${begun} operations: ${problems[0]}\n`);
    expect({ seed, isFound: problems.length > 0 }).toEqual({ seed, isFound: true });
  });

  it('detects a server that loses acknowledged transactions', async () => {
    const seed = chaosSeed();
    const ledger = await createLedger(server, 'azt_chaos_forgetful');
    await withClient(ledger.admin, (client) =>
      client.query('ALTER DATABASE azt_chaos_forgetful SET synchronous_commit = off'),
    );

    const { problems } = await runChaos(server, ledger, { operations: 5_000, seed, kills: 3 });

    process.stderr.write(`chaos: ${problems[0]}\n`);
    expect({ seed, isFound: problems.length > 0 }).toEqual({ seed, isFound: true });
  });
});
