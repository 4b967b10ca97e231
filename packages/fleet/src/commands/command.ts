import type { Command } from 'commander';
import type { Progress } from '../operations/fleet';

/** What a command is given by the entry point. */
export interface CommandContext {
  readonly workingDirectory: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  readonly progress: Progress;
  /** Says one line on the way, on stderr. */
  readonly log: (line: string) => void;
}

/** What a command answers: `data` is what `--json` prints, `text` is for people. */
export interface CommandResult {
  readonly data: unknown;
  readonly text: string;
  readonly exitCode?: number;
}

export type Handler<Arguments extends unknown[]> = (
  context: CommandContext,
  ...args: Arguments
) => Promise<CommandResult>;

/** Turns a handler into commander's action: runs it, prints what it answers, maps errors to exit codes. */
export type Execute = <Arguments extends unknown[]>(
  handler: Handler<Arguments>,
) => (...args: Arguments) => Promise<void>;

export type Register = (program: Command, execute: Execute) => void;
