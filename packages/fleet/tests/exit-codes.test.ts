/** @server any */
import { cp, mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { CommanderError } from 'commander';
import { type CommandContext, type Execute, ServiceFailure } from '../dist/commands/command';
import { exitCodeOf } from '../dist/commands/exit-codes';
import { createProgram } from '../dist/commands/index';
import { usageError } from '../dist/commands/usage-error';
import { toSuiteError } from '../dist/operations/fleet';
import { placeIn } from '../src/postgres/embedded/place';
import { archiveLayout } from '../src/postgres/pitr/archive-layout';
import { type GivenFleet, givenMigratedFleet, removeFleets } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';
import { REPOSITORY_ROOT } from './suite-fixture';

const schema = 'model Note {\n  id Int @id\n  @@map("notes")\n}';
const up = 'CREATE TABLE notes (id int PRIMARY KEY); INSERT INTO notes SELECT generate_series(1, 10)';
const SYSTEM = '7000000000000000001';

/** What the guide says of each code: `backup verify 4`. */
async function documentedCodes(): Promise<readonly string[]> {
  const guide = await readFile(path.join(REPOSITORY_ROOT, 'DATABASE-GUIDE.md'), 'utf8');
  const [, section = ''] = guide.split('\n## Exit codes\n');
  const rows = section.split('\n## ')[0]?.matchAll(/^\| `([a-z ]+)` \| (\d+) \|/gm) ?? [];
  return [...rows].map(([, command, code]) => `${command} ${code}`);
}

/** The exit code of a command, as the entry point derives it from the result or the error. */
async function exitCode(fleet: GivenFleet, args: readonly string[], environment = fleet.environment): Promise<number> {
  const { PATH = '', HOME = '' } = process.env;
  const context: CommandContext = {
    workingDirectory: fleet.root,
    environment: { PATH, HOME, ...environment },
    args,
    signal: new AbortController().signal,
    progress: () => undefined,
    log: () => undefined,
  };
  let code = Number.NaN;
  const execute: Execute =
    (handler) =>
    async (...given) => {
      code = (await handler(context, ...given)).exitCode ?? 0;
    };
  const program = createProgram(execute);
  const stderr = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return exitCodeOf(usageError(program, args, error));
    return exitCodeOf(toSuiteError(error instanceof ServiceFailure ? error.cause : error));
  } finally {
    stderr.mockRestore();
  }
  return code;
}

describe('the exit codes of the guide', () => {
  let fleet: GivenFleet;
  /** The exit code of the backup that made the sets of the other cases. */
  let stored: number;
  const setDirectory = (name: string) => path.join(fleet.root, 'sets', name);
  beforeAll(async () => {
    fleet = await givenMigratedFleet({ notes: { schema, up }, lists: { schema, up } });
    await rowsOf(fleet.target('lists').admin, 'ALTER TABLE notes ADD COLUMN drifted int');
    stored = await run('backup', '--service', 'notes', '--out', setDirectory('good'));
    // Each command records what it found about a set, and must not find what another one recorded.
    for (const name of ['to verify', 'to drill', 'to restore']) {
      await cp(setDirectory('good'), setDirectory(name), { recursive: true });
      const files = await readdir(setDirectory(name), { recursive: true });
      await truncate(path.join(setDirectory(name), files.find((file) => file.endsWith('notes.copy.gz')) ?? ''), 10);
    }
    await givenArchive('whole', []);
    await givenArchive('gap', ['000000010000000000000003']);
  });
  afterAll(removeFleets);

  const run = (...args: readonly string[]) => exitCode(fleet, args);
  /** Runs with a home that has an embedded server's archive. */
  const archive = (name: string, ...args: readonly string[]) =>
    exitCode(fleet, args, { AZORA_HOME: path.join(fleet.root, name) });
  const unreachable = (...args: readonly string[]) =>
    exitCode(fleet, args, { ...fleet.environment, DATABASE_URL: 'postgresql://nobody:none@127.0.0.1:1/postgres' });
  const from = (name: string) => ['--from', setDirectory(name), '--service', 'notes'];
  const confirm = () => ['--confirm', fleet.target('notes').database];

  /** An archive whose base backup begins with the first segment. */
  async function givenArchive(name: string, segments: readonly string[]): Promise<void> {
    const layout = archiveLayout(placeIn(path.join(fleet.root, name)));
    const base = {
      id: 'base',
      systemId: SYSTEM,
      timeline: 1,
      startLsn: '0/0',
      startSegment: '000000010000000000000001',
    };
    await mkdir(path.join(layout.base, base.id), { recursive: true });
    await mkdir(layout.wal);
    await writeFile(
      path.join(layout.directory, 'archive.json'),
      JSON.stringify({ systemId: SYSTEM, timeline: 1, segmentBytes: 8192 }),
    );
    await writeFile(path.join(layout.base, base.id, 'base.json'), JSON.stringify({ ...base, stopLsn: '0/1' }));
    for (const segment of segments) await writeFile(path.join(layout.wal, segment), Buffer.alloc(8192));
  }

  const CASES: Readonly<Record<string, () => Promise<number>>> = {
    'backup 0': () => Promise.resolve(stored),
    'backup 1': () => run('backup'),
    'backup 2': () => run('backup', '--encrypt'),
    'backup 4': () => run('backup', '--service', 'lists'),
    'backup verify 0': () => run('backup', 'verify', ...from('good')),
    'backup verify 1': () => unreachable('backup', 'verify', ...from('good')),
    'backup verify 2': () => run('backup', 'verify', 'unknown', ...from('good')),
    'backup verify 4': () => run('backup', 'verify', ...from('to verify')),
    'backup drill 0': () => run('backup', 'drill', ...from('good')),
    'backup drill 1': () => unreachable('backup', 'drill', ...from('good')),
    'backup drill 2': () => run('backup', 'drill', ...from('nowhere')),
    'backup drill 4': () => run('backup', 'drill', ...from('to drill')),
    'backup prune 0': () => run('backup', 'prune', '--from', setDirectory('good')),
    'backup prune 2': () => run('backup', 'prune', '--last', '0'),
    'restore 0': () => run('restore', 'latest', ...from('good'), ...confirm()),
    'restore 1': () => unreachable('restore', 'latest', ...from('good'), ...confirm()),
    'restore 2': () => run('restore', 'latest', ...from('good'), '--confirm', 'another'),
    'restore 4': () => run('restore', 'latest', ...from('to restore'), ...confirm()),
    'pitr status 0': () => archive('whole', 'pitr', 'status'),
    'pitr status 2': () => run('pitr', 'status'),
    'pitr verify 0': () => archive('whole', 'pitr', 'verify'),
    'pitr verify 2': () => archive('nothing', 'pitr', 'verify'),
    'pitr verify 4': () => archive('gap', 'pitr', 'verify'),
    'pitr restore 2': () => archive('whole', 'pitr', 'restore', '--to', 'yesterday'),
  };

  it.each(Object.keys(CASES))('%s', async (documented) => {
    expect(await CASES[documented]?.()).toBe(Number(documented.split(' ').at(-1)));
  });

  it('are all tested here', async () => {
    expect(await documentedCodes()).toEqual(Object.keys(CASES));
  });
});
