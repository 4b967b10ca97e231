/** @server none */
import type { Command } from 'commander';
import type { Execute } from '../src/commands/command';
import { commandsWithExamples, examplesOf } from '../src/commands/examples';
import { createProgram } from '../src/commands/index';
import { pathOf } from '../src/commands/usage-error';

const EXECUTE: Execute = () => () => Promise.resolve();
const program = createProgram(EXECUTE);
const commands = commandsBelow(program);
/** The commands that do something; a group such as `migrate` only has verbs. */
const runnable = commands.filter((command) => !isGroup(command));

describe('the help of the command line', () => {
  it('says of every command what it does', () => {
    expect(commands.length).toBeGreaterThan(30);
    expect(commands.filter((command) => command.description() === '').map((command) => command.name())).toEqual([]);
  });

  it('explains every argument and every option', () => {
    const unexplained = [program, ...commands].flatMap((command) => [
      ...command.registeredArguments
        .filter(({ description }) => description === '')
        .map((it) => `${command.name()} ${it.name()}`),
      ...command.options.filter(({ description }) => description === '').map((it) => `${command.name()} ${it.flags}`),
    ]);

    expect(unexplained).toEqual([]);
  });

  it('gives every command --json, except help', () => {
    const without = commands.filter((command) => !command.options.some(({ long }) => long === '--json'));

    expect(without.map(pathOf)).toEqual(['azora-db help']);
  });

  it('shows at least two examples of every command', () => {
    const few = runnable.filter((command) => examplesOf(command).length < 2);
    const silent = runnable.filter((command) =>
      examplesOf(command).some(([line]) => !fullHelp(command).includes(`\n  npx azora-db ${line}\n`)),
    );

    expect(few.map(pathOf)).toEqual([]);
    expect(silent.map(pathOf)).toEqual([]);
  });

  it('has no examples of a command that does not exist', () => {
    const known = runnable.map((command) => pathOf(command).replace('azora-db ', ''));

    expect(commandsWithExamples().filter((words) => !known.includes(words))).toEqual([]);
  });

  it.each(runnable.map((command) => [pathOf(command), command] as const))(
    'shows examples of %s that parse',
    async (path, command) => {
      for (const [line] of examplesOf(command)) {
        const ran: string[] = [];
        const words = wordsOf(line);

        expect(`azora-db ${line}`).toMatch(new RegExp(`^${path}\\b`));
        const output = jest.spyOn(process.stdout, 'write').mockReturnValue(true);
        await createProgram((_handler) => async (...args) => {
          ran.push(pathOf(args.at(-1) as Command));
        }).parseAsync(words, { from: 'user' });
        output.mockRestore();
        expect(ran).toEqual(path === 'azora-db help' ? [] : [path]);
      }
    },
  );
});

function commandsBelow(parent: Command): readonly Command[] {
  return parent.commands.flatMap((command) => [command, ...commandsBelow(command)]);
}

function isGroup(command: Command): boolean {
  return command.commands.length > 0 && command.name() !== 'backup';
}

/** The help as `--help` prints it, with the texts after the options. */
function fullHelp(command: Command): string {
  let text = '';
  command.configureOutput({ ...command.configureOutput(), writeOut: (part) => (text += part) }).outputHelp();
  return text;
}

/** Splits a line into words as a shell does; double quotes keep spaces. */
function wordsOf(line: string): readonly string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, inQuotes, plain]) => inQuotes ?? plain ?? '');
}
