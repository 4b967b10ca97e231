import { Command } from 'commander';
import type { Execute } from '../src/commands/command';
import { registerCommands } from '../src/commands/index';

const EXECUTE: Execute = () => () => Promise.resolve();

function commandsBelow(parent: Command): readonly Command[] {
  return parent.commands.flatMap((command) => [command, ...commandsBelow(command)]);
}

describe('the help of the command line', () => {
  const program = new Command('azora-db');
  registerCommands(program, EXECUTE);
  const commands = commandsBelow(program);

  it('says of every command what it does', () => {
    expect(commands.length).toBeGreaterThan(30);
    expect(commands.filter((command) => command.description() === '').map((command) => command.name())).toEqual([]);
  });

  it('explains every argument and every option', () => {
    const unexplained = commands.flatMap((command) => [
      ...command.registeredArguments
        .filter(({ description }) => description === '')
        .map((it) => `${command.name()} ${it.name()}`),
      ...command.options.filter(({ description }) => description === '').map((it) => `${command.name()} ${it.flags}`),
    ]);

    expect(unexplained).toEqual([]);
  });
});
