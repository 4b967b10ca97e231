import type { Command } from 'commander';

/** Adds `help [command...]`, which shows the help of commands at any depth: `help migrate up`. */
export function registerHelp(program: Command): void {
  program
    .helpCommand(false)
    .command('help')
    .argument('[command...]', 'the words of a command, such as migrate up')
    .description('show the help of a command')
    .action((words: readonly string[]) => {
      let command = program;
      for (const word of words) {
        const next = command.commands.find((it) => it.name() === word);
        if (next === undefined) program.error(`error: unknown command '${word}'`, { code: 'commander.unknownCommand' });
        command = next;
      }
      command.outputHelp();
    });
}
