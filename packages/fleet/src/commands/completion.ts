import { Argument, type Command, type Option } from 'commander';
import { findRoot, findServices } from '../config/registry';
import type { CompletedCommand, CompletionWords, Values } from '../render/completion/words';
import { type Register, withJson } from './command';
import { pathOf } from './usage-error';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

export const registerCompletion: Register = (program, execute) => {
  withJson(program.command('completion'))
    .addArgument(new Argument('<shell>', 'the shell that runs the script').choices(SHELLS))
    .summary('print a script that completes commands, options and services in a shell')
    .description(
      'Prints a script that completes commands, options, their values and the names of services, after azora-db and after ' +
        'npx azora-db. Print it again after you added a service or updated the suite.',
    )
    .action(
      execute(async ({ workingDirectory }, shell: Shell) => {
        const services = (await findServices(findRoot(workingDirectory))).map(({ name }) => name);
        const words = { commands: completedCommands(program), services };
        const script = await scriptOf(shell, words);
        return { data: { ok: true, shell, script }, text: script };
      }),
    );
};

async function scriptOf(shell: Shell, words: CompletionWords): Promise<string> {
  if (shell === 'bash') return (await import('../render/completion/bash.js')).bashScript(words);
  if (shell === 'zsh') return (await import('../render/completion/zsh.js')).zshScript(words);
  return (await import('../render/completion/fish.js')).fishScript(words);
}

/** The words that can follow each command, from the tree of commands. */
export function completedCommands(command: Command): readonly CompletedCommand[] {
  const { commands, options, registeredArguments } = command;
  const own: CompletedCommand = {
    at: pathOf(command).replace(/^\S+ ?/, ''),
    verbs: commands.map((verb) => ({ name: verb.name(), about: verb.summary() || verb.description() })),
    options: [
      ...options.map((option) => ({
        names: [option.long, option.short].filter((name) => name !== undefined),
        about: option.description,
        values: option.required ? valuesOf(option) : undefined,
      })),
      { names: ['--help', '-h'], about: 'display help for command', values: undefined },
    ],
    operands: registeredArguments.map(operandValues),
  };
  return [own, ...commands.flatMap(completedCommands)];
}

function valuesOf({ argChoices, long, flags }: Option): Values {
  if (argChoices !== undefined) return argChoices;
  if (long === '--service') return 'services';
  return flags.includes('<location>') ? 'directories' : 'anything';
}

function operandValues(argument: Argument): Values {
  if (argument.argChoices !== undefined) return argument.argChoices;
  const name = argument.name();
  if (name === 'service') return 'services';
  return name === 'set' ? ['latest'] : 'anything';
}
