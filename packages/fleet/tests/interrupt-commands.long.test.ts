/** @server any */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { CTRL_C } from '@azora/db-testkit';
import { processStart } from '../src/system/processes';
import { removeFleets } from './fleet-fixture';
import {
  BIN,
  type BlockableFleet,
  CONFIRMED,
  closeGate,
  expectInterruption,
  givenBusyFleet,
  type InterruptCase,
  interruptInMiddle,
  lockMigrations,
  lockTable,
} from './interrupt-fixture';

const CASES: readonly InterruptCase[] = [
  { args: ['migrate', 'up'], block: 'gate', says: /Applied migrations stay/ },
  { args: ['status'], block: { table: '_prisma_migrations' }, says: /Nothing was changed/ },
  { args: ['backup'], block: { table: 'pg_description' }, says: /No set was stored/ },
  { args: ['restore', 'latest', ...CONFIRMED], block: 'gate', says: /the live databases are unchanged/ },
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

  it('reverts nothing when the rehearsal of a run down is interrupted', async () => {
    const columns = () =>
      given.sql(
        'alpha',
        "SELECT FROM pg_attribute WHERE attrelid = 'notes'::regclass AND attnum > 0 AND NOT attisdropped",
      );
    expect(await columns()).toHaveLength(2);
    await given.open('migrate', 'up').ended;
    expect(await columns()).toHaveLength(3);

    const { text } = await interruptInMiddle(given, {
      args: ['migrate', 'down', '--all', '--steps', '2'],
      block: 'gate',
    });

    expect(text).toContain('0 done, 5 not started; nothing reverted');
    expect(text).toContain('\n→ npx azora-db migrate down --steps 2 ');
    expect(await columns()).toHaveLength(3);
    expect(await given.open('migrate', 'down', '--service', 'alpha').ended).toBe(0);
    expect(await columns()).toHaveLength(2);
  });

  it('does not wait any longer for another run when it is interrupted', async () => {
    const release = await lockMigrations(given, 'alpha');
    try {
      const terminal = given.open('migrate', 'up', '--service', 'alpha', '--runner-timeout', '3600');
      await terminal.waitFor(/waiting for another migration run/);
      terminal.type(CTRL_C);

      expect(await terminal.ended).toBe(130);
      expect(terminal.output()).toContain('Interrupted: 0 done, 1 interrupted.');
    } finally {
      await release();
    }
  });

  it('asks before a restore: Ctrl-C interrupts, and the end of the input counts as a refusal', async () => {
    const first = given.open('restore', 'latest');
    await first.waitFor(/to continue: /);
    first.type(CTRL_C);
    expect(await first.ended).toBe(130);
    expect(first.output()).toContain('Nothing was changed. The question was not answered. [USAGE.NOT_CONFIRMED]');

    const second = given.open('restore', 'latest');
    await second.waitFor(/to continue: /);
    second.type('\x04');
    expect(await second.ended).toBe(2);
    expect(second.output()).toContain('USAGE.NOT_CONFIRMED');
  });

  it('stops at a safe point when its terminal is closed', async () => {
    const release = await closeGate(given);
    const terminal = given.open('backup', 'verify');
    const pid = await given.pidOf(terminal);
    try {
      await given.untilBlocked(terminal);
      // The kernel sends SIGHUP, and each write fails from now on.
      process.kill(await parentOf(pid), 'SIGKILL');
    } finally {
      await release();
    }
    while ((await processStart(pid)) !== undefined) await sleep(20);

    expect(await given.leftOvers()).toEqual([]);
  });

  it('ends with 130 on SIGTERM and SIGINT at once, and reports the same facts as JSON', async () => {
    const release = await lockTable(given, 'alpha', 'pg_description');
    const { PATH = '', HOME = '' } = process.env;
    const child = spawn(process.execPath, [BIN, 'backup', '--json'], {
      cwd: given.fleet.root,
      env: { PATH, HOME, ...given.fleet.environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const ended = once(child, 'close').then(([code]) => code as number | null);
    try {
      await given.untilBlocked({ ended, output: () => stderr });
      // npm passes Ctrl-C on to a command that the terminal has sent it to already. Two signals at once are one request.
      child.kill('SIGTERM');
      child.kill('SIGINT');
      while (!stderr.includes('Interrupted;')) await once(child.stderr, 'data');
    } finally {
      await release();
    }

    expect(await ended).toBe(130);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      interrupted: true,
      set: null,
      services: expect.arrayContaining([{ service: 'alpha', state: 'interrupted' }]),
      left: 'No set was stored, and the unfinished set was removed.',
      next: 'npx azora-db backup --json',
    });
  });

  // The last test: it leaves a scratch database.
  it('stops immediately on a later Ctrl-C, and says what may be left', async () => {
    const release = await closeGate(given);
    const terminal = given.open('migrate', 'verify', '--service', 'alpha');
    try {
      await given.untilBlocked(terminal);
      terminal.type(CTRL_C);
      await terminal.waitFor(/Interrupted;/);
      // The signals of the first half second are one request.
      while (!terminal.output().includes('Stopped immediately')) {
        terminal.type(CTRL_C);
        await Promise.race([terminal.ended, sleep(50)]);
      }

      expect(await terminal.ended).toBe(130);
      expect(terminal.output()).toContain('"npx azora-db cleanup" shows and removes them');
    } finally {
      await release();
    }
  });
});

/** The parent of a process; for a program under a pseudo-terminal, the process that holds the terminal. */
async function parentOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')')).split(' ')[2]);
}
