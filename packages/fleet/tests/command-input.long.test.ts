/** @server none */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Argument, type Command, CommanderError, type Option } from 'commander';
import { ServiceFailure } from '../dist/commands/command';
import { createProgram } from '../dist/commands/index';
import { pathOf, usageError } from '../dist/commands/usage-error';
import { readEnvironment } from '../dist/config/settings';
import { toSuiteError } from '../dist/operations/fleet';
import { findPlace } from '../dist/postgres/embedded/place';
import { REPOSITORY_ROOT } from './suite-fixture';

const folder = mkdtempSync(path.join(os.tmpdir(), 'azora-input-'));
const CHECKOUT = path.join(folder, 'checkout');
const FILE = path.join(folder, 'file');
const HOME = path.join(folder, 'home');
/** Nothing listens on this port, so that no input can reach a server. */
const UNREACHABLE = 'postgresql://nobody@127.0.0.1:1/postgres';

/** Values that a person, a script with an empty variable, or another system may pass. */
const VALUES = [
  ...[
    '',
    ' ',
    ',',
    'mint,',
    '-',
    '\n',
    'a\0b',
    '\u{1f600}',
    '%s%n',
    "';--",
    '0',
    '-1',
    '1.5',
    '65536',
    '9'.repeat(400),
    '0/0',
  ],
  ...['x'.repeat(300), 'x'.repeat(100_000), 'MINT', 'mint,mint', '__proto__', 'latest', '20260131T120000123Z-0a1b2c'],
  ...['..', '../../etc', '/dev/null', 'C:\\Users\\me', '\\\\host\\share', FILE, `${FILE}/below`, folder],
  ...['s3://', 's3://bucket/../x', 'http://example.com'],
];

/** They start other programs or write into the checkout; their arguments are flags only. */
const NOT_RUN = ['azora-db setup', 'azora-db generate', 'azora-db docs', 'azora-db help'];

const startedIn = process.cwd();

beforeAll(() => {
  mkdirSync(CHECKOUT);
  // A location is relative to the working directory of the process.
  process.chdir(CHECKOUT);
  writeFileSync(FILE, '');
  cpSync(path.join(REPOSITORY_ROOT, 'lerna.json'), path.join(CHECKOUT, 'lerna.json'));
  for (const name of readdirSync(path.join(REPOSITORY_ROOT, 'services'))) {
    // The schemas refer to each other. Only mint's migrations are needed.
    for (const part of ['package.json', name === 'mint' ? 'prisma' : 'prisma/schema.prisma']) {
      cpSync(path.join(REPOSITORY_ROOT, 'services', name, part), path.join(CHECKOUT, 'services', name, part), {
        recursive: true,
      });
    }
  }
});
afterAll(async () => {
  process.chdir(startedIn);
  // Commands such as `server start` start one. Root's is outside of the folder.
  const place = await findPlace(HOME);
  await codesOf(['server', 'stop']);
  if (place !== undefined) rmSync(place.base, { recursive: true, force: true });
  rmSync(folder, { recursive: true, force: true });
});

/** The code of the error that a command line gives, and the codes of the failed services; undefined for success. */
async function codesOf(args: readonly string[], variables: Readonly<Record<string, string>> = {}): Promise<string> {
  const environment = { DATABASE_URL: UNREACHABLE, AZORA_HOME: HOME, ...variables };
  let outcome: unknown = 'did not run';
  const program = createProgram((handler) => async (...all) => {
    const context = {
      workingDirectory: CHECKOUT,
      environment: readEnvironment(CHECKOUT, environment),
      args,
      // The studio would serve until Ctrl-C.
      signal: args[0] === 'studio' ? AbortSignal.abort() : new AbortController().signal,
      progress: () => undefined,
      log: () => undefined,
    };
    outcome = (await handler(context, ...all)).data;
  });
  const stderr = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') return 'interrupted';
    const cause = error instanceof ServiceFailure ? error.cause : error;
    const known = cause instanceof CommanderError ? usageError(program, args, cause) : toSuiteError(cause);
    return known.code === 'INTERNAL' ? `INTERNAL: ${known.message}` : known.code;
  } finally {
    stderr.mockRestore();
  }
  return [...JSON.stringify(outcome).matchAll(/"code":"(\w+(?:\.\w+)?)","message":"([^"]*)/g)]
    .map(([, code, message]) => (code === 'INTERNAL' ? `INTERNAL: ${message}` : code))
    .join();
}

type Slot = Argument | Option;

/** A value that the command accepts at this place. */
function plainValue(slot: Slot): string {
  const name = 'long' in slot ? (slot.long ?? '') : slot.name();
  if (slot.argChoices !== undefined) return slot.argChoices[0] ?? '';
  if (name === 'service' || name === '--service') return 'mint';
  if (name === 'slug') return 'add_nickname';
  if (name === 'set') return 'latest';
  if (name === '--to') return 'latest';
  return '1';
}

/** The command line with a value at one place, and plain values where the command requires them. */
function lineWith(command: Command, slot: Slot, value: string): readonly string[] {
  const words = pathOf(command).split(' ').slice(1);
  const required = command.options.filter((option) => option.mandatory && option !== slot);
  const yes = command.options.some(({ long }) => long === '--yes') ? ['--yes'] : [];
  const open = command.options.some(({ long }) => long === '--no-open') ? ['--no-open'] : [];
  const operands = command.registeredArguments.filter((it) => it === slot || it.required);
  return [
    ...words,
    ...yes,
    ...open,
    ...required.flatMap((option) => [option.long ?? '', plainValue(option)]),
    ...('long' in slot ? [slot.long ?? '', value] : []),
    ...operands.map((operand) => (operand === slot ? value : plainValue(operand))),
  ];
}

function runnable(parent: Command): readonly Command[] {
  return parent.commands.flatMap((command) => [command, ...runnable(command)]);
}

const COMMANDS = runnable(createProgram(() => () => Promise.resolve())).filter(
  (command) => !NOT_RUN.includes(pathOf(command)),
);

describe('a value that a command cannot use is never an internal error', () => {
  it.each(COMMANDS.map((command) => [pathOf(command), command] as const))('of %s', async (_path, command) => {
    const slots: readonly Slot[] = [
      ...command.registeredArguments,
      ...command.options.filter((option) => option.required),
    ];
    const internal: unknown[] = [];
    for (const slot of slots) {
      for (const value of VALUES) {
        const line = lineWith(command, slot, value);
        const codes = await codesOf(line);
        if (codes.includes('INTERNAL')) internal.push([codes.slice(0, 200), line.map((word) => word.slice(0, 60))]);
      }
    }

    expect(internal).toEqual([]);
  });
});

/** A name and the words of a command that reads this variable. No value makes the command write outside of the test's folder. */
const VARIABLES = [
  ['DATABASE_URL', ['status', '--service', 'mint']],
  ['MINT_DATABASE_URL', ['status', '--service', 'mint']],
  ['AZORA_DB_PREFIX', ['url', 'mint']],
  ['AZORA_HOME', ['server', 'status']],
  ['AZORA_BACKUP_DIR', ['backup', 'list']],
  ['AZORA_BACKUP_KEY', ['backup', 'list']],
  ['AZORA_BACKUP_PASSPHRASE', ['backup', 'list']],
  ['AZORA_BACKUP_MAX_AGE', ['status', '--service', 'mint']],
] as const;

describe('a value that a variable cannot have is never an internal error', () => {
  it.each(VARIABLES)('of %s', async (name, line) => {
    const internal: unknown[] = [];
    for (const value of [
      ...VALUES,
      `${'9'.repeat(400)}d`,
      'postgresql://',
      'postgresql://h:99999/x',
      'postgresql://%zz@h',
    ]) {
      const codes = await codesOf(line, { [name]: value });
      if (codes.includes('INTERNAL')) internal.push([codes.slice(0, 200), value.slice(0, 60)]);
    }

    expect(internal).toEqual([]);
  });

  it('of .env, which is a directory', async () => {
    mkdirSync(path.join(CHECKOUT, '.env'));

    expect(await codesOf(['status'])).toBe('CONFIG.BAD_ENV_FILE');
    rmSync(path.join(CHECKOUT, '.env'), { recursive: true });
  });
});

describe('a value outside of the range of an option', () => {
  it.each([
    ['a port', ['studio', '--port', '65536']],
    ['a port', ['studio', '--port', '-1']],
    ['a timeout', ['migrate', 'up', '--lock-timeout', '2147484']],
    ['a timeout', ['migrate', 'up', '--runner-timeout', '0']],
    ['a number', ['backup', 'prune', '--last', '9'.repeat(40)]],
  ])('%s: %j', async (_title, line) => {
    expect(await codesOf(line)).toBe('USAGE.INVALID_ARGUMENTS');
  });

  it.each([
    ['empty', ''],
    ['a file', FILE],
    ['below a file', `${FILE}/below`],
    ['too long', 'x'.repeat(10_000)],
    ['another scheme', 'http://example.com'],
  ])('a location that is %s', async (_title, location) => {
    expect(await codesOf(['backup', 'list', '--from', location])).toBe('USAGE.BAD_LOCATION');
    expect(await codesOf(['backup', '--out', location])).toBe('USAGE.BAD_LOCATION');
  });

  it('the name of a tag, before a server is asked', async () => {
    expect(await codesOf(['migrate', 'tag', '../../etc'])).toBe('USAGE.BAD_TAG');
  });
});
