import { removeFleets } from './fleet-fixture';
import { type BlockableFleet, expectInterruption, givenBusyFleet, type InterruptCase } from './interrupt-fixture';

const HISTORY = { table: '_prisma_migrations' };

/** The slower half; interrupt.test.ts has the rest. */
const CASES: readonly InterruptCase[] = [
  { args: ['migrate', 'drift'], block: 'gate', says: /Nothing was changed/ },
  { args: ['migrate', 'verify'], block: 'gate', says: /scratch databases were dropped/ },
  { args: ['migrate', 'plan'], block: HISTORY, says: /Nothing was changed/ },
  { args: ['migrate', 'status'], block: HISTORY, says: /Nothing was changed/ },
  { args: ['migrate', 'tag', 'v1'], block: HISTORY, says: /Nothing was changed/ },
  { args: ['migrate', 'doctor'], block: { table: 'pg_constraint' }, says: /Nothing was changed/ },
  { args: ['backup'], block: { table: 'notes' }, says: /No set was stored/ },
  { args: ['backup', 'verify'], block: 'gate', says: /no result was stored/ },
  { args: ['seed', '--reset', '--yes'], block: { table: 'notes' }, says: /Tables that were emptied stay empty/ },
  { args: ['reset', '--yes'], block: 'gate', says: /"npx azora-db setup" creates it/ },
];

describe('a command under a terminal, interrupted in its middle', () => {
  let given: BlockableFleet;

  beforeAll(async () => {
    given = await givenBusyFleet();
  });

  afterAll(removeFleets);

  it.each(CASES.map((it) => [it.args.join(' '), it] as const))(
    '%s ends with 130 at a safe point, and says what is left and which command continues',
    (_, it) => expectInterruption(given, it),
  );
});
