import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { type ProgramMessage, type ProgramRequest, SuiteError } from '@azora/db-core';
import { childEnvironment, type Environment } from '../system/child-environment';
import { killAtExit, OWN_GROUP } from '../system/children';
import type { RunOptions } from './fleet';
import type { Target } from './targets';

export interface ProgramRun extends RunOptions {
  readonly command: string;
  /** The connection URL that the program uses. */
  readonly url: string;
  readonly input: Readonly<Record<string, unknown>>;
  /** The program gets the few variables that every program needs. */
  readonly environment: Environment;
}

export type ProgramAnswer = Omit<Extract<ProgramMessage, { kind: 'done' }>, 'kind'>;

/**
 * Runs a command of the program of a service, in a child process, because this package must work without the code of the services. An
 * interrupt stops it at its next safe point.
 * @throws {SuiteError} `PROGRAM.NOT_BUILT`, `PROGRAM.ENDED`, and what the program reports
 */
export async function runServiceProgram({ service }: Target, run: ProgramRun): Promise<ProgramAnswer> {
  const entry = path.join(service.directory, 'dist', 'src', 'program.js');
  if (!existsSync(entry)) {
    throw new SuiteError('PROGRAM.NOT_BUILT', `The service ${service.name} is not built`, {
      kind: 'configuration',
      next: 'Run "npm run build"',
    });
  }
  const { signal, progress } = run;
  signal?.throwIfAborted();
  progress?.({ service: service.name, state: 'started', detail: '' });
  const answer = await answerOf(entry, run, (detail) => {
    progress?.({ service: service.name, state: 'working', detail });
  });
  if (answer?.kind === 'done') {
    progress?.({ service: service.name, state: 'done', detail: '' });
    return answer;
  }
  progress?.({ service: service.name, state: 'failed', detail: '' });
  // The program ends with an error after a signal to stop.
  signal?.throwIfAborted();
  if (answer === undefined) {
    throw new SuiteError('PROGRAM.ENDED', `The program of ${service.name} ended before its command was done`, {
      why: 'It was killed, or the system could not start it.',
      next: 'Run the command again; what was written stays',
    });
  }
  const { code, errorKind: kind, message, why, next } = answer;
  const details = { kind, ...(why !== undefined && { why }), ...(next !== undefined && { next }) };
  throw new SuiteError(code, message, details);
}

/** Runs the program until it has exited; undefined when it ended without an answer. */
function answerOf(
  entry: string,
  { command, url, input, environment, signal }: ProgramRun,
  onProgress: (detail: string) => void,
): Promise<Exclude<ProgramMessage, { kind: 'progress' }> | undefined> {
  return new Promise((resolve) => {
    // The types of fork lack OWN_GROUP, which Node passes on to spawn.
    const options = { serialization: 'advanced' as const, env: childEnvironment(environment), ...OWN_GROUP };
    const child = fork(entry, options);
    killAtExit(child);
    let answer: Exclude<ProgramMessage, { kind: 'progress' }> | undefined;
    // A request that cannot be sent has found no process, and how the process ended is reported by its exit.
    const send = (request: ProgramRequest) => child.send(request, () => undefined);
    const stop = () => {
      if (child.connected) send({ kind: 'stop' });
    };
    const settle = () => {
      // Messages may still be in the channel when the process has exited.
      if (child.connected || (child.exitCode === null && child.signalCode === null && child.pid !== undefined)) return;
      signal?.removeEventListener('abort', stop);
      resolve(answer);
    };
    child.on('message', (message: ProgramMessage) => {
      if (message.kind === 'progress') onProgress(message.detail);
      else answer = message;
    });
    for (const event of ['exit', 'disconnect', 'error']) child.on(event, settle);
    signal?.addEventListener('abort', stop, { once: true });
    send({ kind: 'run', command, url, input });
  });
}
