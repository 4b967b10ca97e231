/** @server any */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CTRL_C, openTerminal } from '@azora/db-testkit';
import { removeFleets } from './fleet-fixture';
import {
  BIN,
  type BlockableFleet,
  CONFIRMED,
  expectInterruption,
  givenBusyFleet,
  type InterruptCase,
} from './interrupt-fixture';

const HISTORY = { table: '_prisma_migrations' };

/** The slower half; interrupt-commands.long.test.ts has the rest. */
const CASES: readonly InterruptCase[] = [
  { args: ['migrate', 'drift'], block: 'gate', says: /Nothing was changed/ },
  { args: ['migrate', 'verify'], block: 'gate', says: /scratch databases were dropped/ },
  { args: ['migrate', 'plan'], block: HISTORY, says: /Nothing was changed/ },
  { args: ['migrate', 'status'], block: HISTORY, says: /Nothing was changed/ },
  { args: ['migrate', 'tag', 'v1'], block: HISTORY, says: /Nothing was changed/ },
  // A new session reads every catalog that has a cache of its rows, as pg_constraint has, when its server rebuilds that cache.
  { args: ['migrate', 'doctor'], block: { table: 'pg_depend' }, says: /Nothing was changed/ },
  { args: ['backup'], block: { table: 'notes' }, says: /No set was stored/ },
  { args: ['backup', 'verify'], block: 'gate', says: /no result was stored/ },
];

/** These need databases with all migrations. */
const MIGRATED_CASES: readonly InterruptCase[] = [
  { args: ['seed', '--reset', ...CONFIRMED], block: { table: 'notes' }, says: /Tables that were emptied stay empty/ },
  { args: ['reset', ...CONFIRMED], block: 'gate', says: /"npx azora-db setup" creates it/ },
];

let given: BlockableFleet;
const homes: string[] = [];

beforeAll(async () => {
  given = await givenBusyFleet();
});

afterAll(async () => {
  await removeFleets();
  await Promise.all(homes.map((home) => rm(home, { recursive: true, force: true })));
});

describe('the start of a server under a terminal, interrupted', () => {
  it('finishes the files of the server, and the next start uses them', async () => {
    const { root, environment } = given.fleet;
    const { PATH = '', HOME = '' } = process.env;
    const home = await mkdtemp(path.join(os.tmpdir(), 'azora-interrupt-'));
    homes.push(home);
    const env = { PATH, HOME, AZORA_DB_PREFIX: environment['AZORA_DB_PREFIX'] ?? '', AZORA_HOME: home };
    const command = (verb: string) => [process.execPath, BIN, 'server', verb];
    const terminal = openTerminal(command('start'), { cwd: root, env });
    await terminal.waitFor(/creating the embedded PostgreSQL/);
    while (!(await draftOf(home))) await Promise.race([sleep(5), terminal.ended]);
    // initdb is in the terminal's session, and must not receive its Ctrl-C.
    terminal.type(CTRL_C);

    expect(await terminal.ended).toBe(130);
    expect(terminal.output()).toContain('\n→ npx azora-db server start\r\n');
    expect(await readdir(path.join(home, 'embedded'))).toEqual(['data', 'owner', 'password']);
    expect(await draftOf(home)).toBe(false);

    try {
      const again = openTerminal(command('start'), { cwd: root, env });
      expect(await again.ended).toBe(0);
      expect(again.output()).not.toContain('creating');
    } finally {
      await openTerminal(command('stop'), { cwd: root, env }).ended;
    }
  });
});

/** Whether initdb is at work on the data of a new server. */
async function draftOf(home: string): Promise<boolean> {
  const names = await readdir(home).catch(() => []);
  const draft = names.find((name) => name.startsWith('embedded.new-'));
  return draft !== undefined && existsSync(path.join(home, draft, 'data', 'PG_VERSION'));
}

describe('a command under a terminal, interrupted in its middle', () => {
  it.each(CASES.map((it) => [it.args.join(' '), it] as const))(
    '%s ends with 130 at a safe point, and says what is left and which command continues',
    (_, it) => expectInterruption(given, it),
  );

  describe('with all migrations', () => {
    beforeAll(async () => {
      expect(await given.open('migrate', 'up').ended).toBe(0);
    });

    it.each(MIGRATED_CASES.map((it) => [it.args.join(' '), it] as const))('%s', (_, it) =>
      expectInterruption(given, it),
    );
  });
});
