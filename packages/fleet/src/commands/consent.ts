import { SuiteError } from '@azora/db-core';
import type { Command } from 'commander';
import type { Target } from '../operations/targets';
import { type CommandContext, commandLine } from './command';
import { ask } from './prompt';

/** The flags with which a person confirms an action in advance. */
export interface ConsentFlags {
  readonly yes?: boolean;
  readonly confirm?: string;
}

export interface ConsentRequest {
  readonly yes?: boolean | undefined;
  /** The option that `yes` comes from; `--yes` by default. */
  readonly flag?: string;
  readonly confirm?: string | undefined;
  /** What would happen, after "This would": `drop every database`. */
  readonly action: string;
  /** The databases that would lose rows. Without any, the action concerns files of this checkout. */
  readonly targets: readonly Target[];
  /** The hosts of the message broker that would change, if it is one. */
  readonly broker?: string;
}

/** Adds `--yes` and `--confirm`. */
export function withConsent(command: Command): Command {
  return withConfirm(command.option('--yes', 'do not ask for confirmation on the embedded server'));
}

/** Adds `--confirm`, for a command whose own flag stands for `--yes`. */
export function withConfirm(command: Command): Command {
  return command.option(
    '--confirm <name>',
    'do not ask on another server: the name of the database, of the host when there are several databases, or of the broker',
  );
}

/**
 * Says what would be lost, and continues only if a person agrees: on the embedded server with `--yes`, on any other server
 * with `--confirm` and the name of the database (of the host for several databases and for a broker), otherwise by an answer on the terminal.
 * Validate all options before this call, because a person who agreed must not meet an error that was known.
 * @throws {SuiteError} `USAGE.NEEDS_YES`, `USAGE.NEEDS_CONFIRM` without a terminal; `USAGE.NOT_CONFIRMED` after another answer or an interruption
 */
export async function requireConsent(context: CommandContext, request: ConsentRequest): Promise<void> {
  const { action, targets, broker, yes, confirm, flag: own = '--yes' } = request;
  const { readContents } = await import('../operations/contents.js');
  const { consentText, sumText } = await import('../render/consent.js');
  const contents = await readContents(targets);
  const text = consentText(action, contents);
  const isLocal = broker === undefined && targets.every(({ server }) => server !== 'ordinary');
  const name = broker ?? nameOf(targets);
  if (confirm === undefined ? isLocal && yes === true : confirm !== '' && confirm === name) return context.log(text);
  const flag = isLocal ? [own] : ['--confirm', name];
  const lost = contents.length === 0 ? '' : `It concerns ${sumText(contents)}.`;
  if (confirm !== undefined || !process.stdin.isTTY || !process.stderr.isTTY) {
    const given = confirm === undefined ? '' : ` "--confirm ${confirm}" names something else.`;
    throw needsFlag(isLocal, action, `${lost}${given}`.trim(), `Run "${commandWith(context.args, flag)}"`);
  }
  const expected = isLocal ? 'yes' : name;
  context.log(text);
  const answer = await ask(`Type ${expected} to continue: `, context.signal);
  if (answer?.trim() !== expected) throw notConfirmed(answer, expected);
}

/**
 * What a person must type for databases on other servers: the database's name if there is one, otherwise the servers' hosts.
 * A mistaken URL shows in it. For several servers, it is a list.
 */
function nameOf(targets: readonly Target[]): string {
  const remote = targets.filter(({ server }) => server === 'ordinary');
  const concerned = remote.length > 0 ? remote : targets.filter(({ server }) => server !== 'companion');
  const [first, ...others] = concerned.length > 0 ? concerned : targets;
  if (first === undefined || others.length === 0) return first?.database ?? '';
  return [...new Set([first, ...others].map(({ admin }) => admin.host))].join(',');
}

function needsFlag(isLocal: boolean, action: string, why: string, next: string): SuiteError {
  const message = `This would ${action}`;
  if (isLocal) return new SuiteError('USAGE.NEEDS_YES', message, { kind: 'usage', why, next });
  return new SuiteError('USAGE.NEEDS_CONFIRM', message, {
    kind: 'usage',
    why: `${why} The server is not the embedded server of this checkout.`.trim(),
    next,
  });
}

function notConfirmed(answer: string | undefined, expected: string): SuiteError {
  return new SuiteError('USAGE.NOT_CONFIRMED', 'Nothing was changed', {
    kind: 'usage',
    why: answer === undefined ? 'The question was not answered.' : `The answer was not "${expected}".`,
  });
}

/** The command that was typed, as it can be typed again, with another consent. */
function commandWith(args: readonly string[], flag: readonly string[]): string {
  const kept = args.filter(
    (arg, index) =>
      !/^--(yes|confirm(=.*)?)$/.test(arg) && arg !== flag[0] && (args[index - 1] !== '--confirm' || index === 0),
  );
  return commandLine([...kept, ...flag]);
}
