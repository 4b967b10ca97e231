/** @server none */
import { CommanderError } from 'commander';
import { exitCodeOf } from '../src/commands/exit-codes';
import { createProgram } from '../src/commands/index';
import { asksForJson, usageError } from '../src/commands/usage-error';

/** The error of a command line that does not parse, and whether it asks for JSON. */
async function usageErrorOf(args: readonly string[]) {
  const program = createProgram(() => () => Promise.resolve());
  const stderr = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode !== 0) {
      return { error: usageError(program, args, error), json: asksForJson(program, args) };
    }
    throw error;
  } finally {
    stderr.mockRestore();
  }
  throw new Error(`the command line parses: ${args.join(' ')}`);
}

describe('a command line that does not parse', () => {
  it.each([
    [['statsu'], "Unknown command 'statsu'", 'Did you mean "npx azora-db status"?'],
    [['migrate', 'upp'], "Unknown command 'upp'", 'Did you mean "npx azora-db migrate up"?'],
    [['backup', 'verfy'], "Unknown command 'verfy'", 'Did you mean "npx azora-db backup verify"?'],
    [['help', 'migrate', 'upp'], "Unknown command 'upp'", 'Did you mean "npx azora-db migrate up"?'],
    [['up'], "Unknown command 'up'", 'Did you mean "npx azora-db migrate up"?'],
    [['verify'], "Unknown command 'verify'", '"npx azora-db migrate verify" or "npx azora-db backup verify"'],
    [['xyzzy'], "Unknown command 'xyzzy'", '"npx azora-db --help" lists the commands'],
    [['migrate'], 'A command is missing', '"npx azora-db migrate --help"'],
    [[], 'A command is missing', '"npx azora-db --help"'],
    [['status', '--jsn'], "Unknown option '--jsn'", 'Did you mean --json?'],
    [['migrate', 'down', '--setps=2'], "Unknown option '--setps=2'", 'Did you mean --steps?'],
    [['url'], "Missing required argument 'service'", '"npx azora-db url --help"'],
    [['status', 'mint'], "Too many arguments for 'status'", '"npx azora-db status --help"'],
    [['backup', '--format', 'tar'], "argument 'tar' is invalid", '"npx azora-db backup --help"'],
    [['migrate', 'resolve', 'maybe', 'mint', 'x'], "value 'maybe' is invalid", '"npx azora-db migrate resolve --help"'],
    [['migrate', 'down', '--steps', '0'], "argument '0' is invalid", '"npx azora-db migrate down --help"'],
    [['migrate', 'down', '--steps', '1', '--to', 'x'], 'cannot be used with', '"npx azora-db migrate down --help"'],
    [['pitr', 'restore'], "Required option '--to <point>' not specified", '"npx azora-db pitr restore --help"'],
    [['status', '--service'], 'argument missing', '"npx azora-db status --help"'],
    [['status', '--service', 'mint,'], "argument 'mint,' is invalid", '"npx azora-db status --help"'],
  ])('%j: exit code 2, the problem and a command that can be typed', async (args, message, next) => {
    const { error, json } = await usageErrorOf(args);

    expect(exitCodeOf(error)).toBe(2);
    expect(json).toBe(false);
    expect(error).toMatchObject({
      code: 'USAGE.INVALID_ARGUMENTS',
      message: expect.stringContaining(message),
      next: expect.stringContaining(next),
    });
    expect(await usageErrorOf(['--json', ...args])).toMatchObject({ error: { message: error.message }, json: true });
  });

  it('does not repeat a value of thousands of characters', async () => {
    const { error } = await usageErrorOf(['status', `--${'x'.repeat(100_000)}`]);

    expect(error.message.length).toBeLessThan(300);
  });

  it.each([
    [['--json', 'statsu'], true],
    [['migrate', '--json', 'upp'], true],
    [['backup', '--format', 'tar', '--json'], true],
    [['status', '--', '--json'], false],
    [['migrate', 'down', '--steps', '--json'], false],
    [['migrate', 'tag', '--', '--json', 'extra'], false],
  ])('%j: asks for JSON: %s', async (args, expected) => {
    expect((await usageErrorOf(args)).json).toBe(expected);
  });
});

describe('a repeated --service', () => {
  it('adds services', async () => {
    const seen: unknown[] = [];
    const program = createProgram((_handler) => async (...all) => {
      seen.push((all.at(-1) as ReturnType<typeof createProgram>).opts()['service']);
    });

    await program.parseAsync(['status', '-s', 'auth', '--service', 'mint,rag'], { from: 'user' });

    expect(seen).toEqual([['auth', 'mint', 'rag']]);
  });
});

describe('the position of --json', () => {
  it.each([
    [['--json', 'status']],
    [['status', '--json']],
    [['--json', 'migrate', 'status']],
    [['migrate', '--json', 'status']],
    [['migrate', 'status', '--json']],
    [['backup', '--json', 'list']],
  ])('%j prints JSON', async (args) => {
    const seen: unknown[] = [];
    const program = createProgram((_handler) => async (...all) => {
      seen.push((all.at(-1) as ReturnType<typeof createProgram>).optsWithGlobals()['json']);
    });

    await program.parseAsync(args, { from: 'user' });

    expect(seen).toEqual([true]);
  });

  it('is not an option where another option takes it as its value', async () => {
    const seen: unknown[] = [];
    const program = createProgram((_handler) => async (...all) => {
      seen.push((all.at(-1) as ReturnType<typeof createProgram>).optsWithGlobals());
    });

    await program.parseAsync(['migrate', 'down', '--to', '--json'], { from: 'user' });

    expect(seen).toEqual([{ to: '--json' }]);
  });
});
