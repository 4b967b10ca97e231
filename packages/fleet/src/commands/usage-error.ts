import { didYouMean, SuiteError, similarNames } from '@azora/db-core';
import type { Command, CommanderError } from 'commander';

/** The commands and flags that a command line names, as far as they can be recognized. */
interface Invocation {
  /** The innermost command. */
  readonly command: Command;
  readonly json: boolean;
  /** The first word that should name a command of `command` and does not. */
  readonly unknownWord: string | undefined;
}

/** Whether `--json` is among the arguments as an option of its own, not as the value of another option. */
export function asksForJson(program: Command, args: readonly string[]): boolean {
  return readInvocation(program, args).json;
}

/** The error of a command line that commander rejected: `USAGE.INVALID_ARGUMENTS`. */
export function usageError(program: Command, args: readonly string[], { code, message }: CommanderError): SuiteError {
  const { command, unknownWord } = readInvocation(program, args);
  const name = `npx ${pathOf(command)}`;
  const isGroup = command.commands.length > 0;
  if (code === 'commander.help') return invalid('A command is missing', `Run one of the commands of "${name} --help"`);
  if (isGroup && unknownWord !== undefined && code !== 'commander.unknownOption') {
    const meant = meantCommands(program, command, unknownWord).map((it) => `"npx ${it}"`);
    const next = `${didYouMean(meant)} "${name} --help" lists the commands`.trim();
    return invalid(`Unknown command '${shortened(unknownWord)}'`, next);
  }
  const help = `"${name} --help" shows the arguments and options`;
  const [first = '', ...rest] = message.replace(/^error: /, '').split(/(?<=\.) /);
  const text = capitalized(shortened(first.replace(/\.$/, '')));
  if (code !== 'commander.unknownOption') return invalid(text, help, rest.join(' '));
  const [, option = ''] = /'(.*)'/s.exec(message) ?? [];
  const known = command.options.flatMap(({ long }) => long ?? []).concat('--help');
  return invalid(text, `${didYouMean(similarNames(option.replace(/=.*/s, ''), known))} ${help}`.trim());
}

/** The words that run a command: `azora-db migrate up`. */
export function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

function readInvocation(program: Command, args: readonly string[]): Invocation {
  const { words, json } = withoutOptions(program, args);
  let [command, unknownWord] = [program, undefined as string | undefined];
  for (const word of words) {
    const subcommand = command.commands.find((it) => it.name() === word);
    // "help migrate up" names the command after the word help.
    if (subcommand?.name() === 'help') continue;
    if (subcommand !== undefined) command = subcommand;
    else if (command.commands.length > 0) unknownWord ??= word;
  }
  return { command, json, unknownWord };
}

/** The arguments before `--` that are neither options nor their values, and whether `--json` is among the options. */
function withoutOptions(program: Command, args: readonly string[]) {
  const words: string[] = [];
  let [json, scope] = [false, [program]];
  const end = args.indexOf('--');
  const ended = end === -1 ? args : args.slice(0, end);
  for (let index = 0; index < ended.length; index += 1) {
    const arg = ended[index] ?? '';
    const option = scope.flatMap(({ options }) => options).find(({ long, short }) => arg === long || arg === short);
    if (option?.long === '--json') json = true;
    if (option?.required) index += 1;
    if (arg.startsWith('-')) continue;
    words.push(arg);
    const subcommand = scope.at(-1)?.commands.find((it) => it.name() === arg);
    if (subcommand !== undefined) scope = [...scope, subcommand];
  }
  return { words, json };
}

/** Commands with a similar name in the same group; without one, commands of other groups with exactly this name. */
function meantCommands(program: Command, group: Command, word: string): readonly string[] {
  const near = similarNames(
    word,
    group.commands.map((it) => it.name()),
  );
  if (near.length > 0) return near.map((name) => `${pathOf(group)} ${name}`);
  return program.commands.flatMap((it) => it.commands.filter((verb) => verb.name() === word).map(pathOf));
}

function invalid(message: string, next: string, why = ''): SuiteError {
  return new SuiteError('USAGE.INVALID_ARGUMENTS', message, { kind: 'usage', next, ...(why === '' ? {} : { why }) });
}

/** Keeps a value of thousands of characters out of the message. */
function shortened(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 200)}…`;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
