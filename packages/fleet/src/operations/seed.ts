import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { isRecord, type SeedMessage, type SeedRequest, SuiteError } from '@azora/db-core';
import { references, type SchemaModel, serviceOrder } from '../schema/schema-model';
import { childEnvironment, type Environment } from '../system/child-environment';
import { killAtExit, OWN_GROUP } from '../system/children';
import { countOf, type RunOptions, type ServiceRow } from './fleet';
import { lookUpAll, type Orphans } from './references';
import type { Target } from './targets';

export interface SeedOptions extends RunOptions {
  readonly root: string;
  /** The environment of the command; the seed's process gets the few variables that every program needs. */
  readonly environment?: Environment;
  /** How many thousand users to add to the fixed rows. */
  readonly scale: number;
}

export interface SeedReport {
  readonly rows: readonly ServiceRow<{ readonly volumeRows: number }>[];
  /** References, after the run, to rows that do not exist in the other service; undefined after an interrupt. */
  readonly orphans: readonly Orphans[] | undefined;
}

/**
 * Seeds the services as the administrator, in the order of their references, then looks up every reference. The rows have a
 * history, which some app roles cannot write. Leaves existing rows unchanged, so it also finds orphans that are older than the
 * seed.
 * @throws {SuiteError} `SEED.NOT_BUILT`, `SEED.ENDED`
 */
export async function seedFleet(
  targets: readonly Target[],
  schemaModel: SchemaModel,
  options: SeedOptions,
): Promise<SeedReport> {
  const rows = await seedTargets(targets, schemaModel, options);
  return { rows, orphans: await orphansAfter(rows, targets, schemaModel, options) };
}

/**
 * Seeds the services as {@link seedFleet} does, without the look-up.
 * @throws {SuiteError} `SEED.NOT_BUILT`, `SEED.ENDED`
 */
export function seedTargets(
  targets: readonly Target[],
  schemaModel: SchemaModel,
  options: SeedOptions,
): Promise<SeedReport['rows']> {
  const request: SeedRequest = {
    services: targets.map((target) => ({
      name: target.service.name,
      packageName: target.service.packageName,
      url: target.admin.href,
    })),
    waves: serviceOrder(schemaModel),
    repositoryRoot: options.root,
    scale: options.scale,
  };
  return runSeed(request, options);
}

/** Looks up every reference after a seed; undefined after an interrupt, for then references need not resolve yet. */
export async function orphansAfter(
  rows: SeedReport['rows'],
  targets: readonly Target[],
  schemaModel: SchemaModel,
  { signal }: Pick<SeedOptions, 'signal'>,
): Promise<SeedReport['orphans']> {
  if (signal?.aborted === true && rows.some(({ state }) => state !== 'done')) return undefined;
  const lookedUp = await lookUpAll(references(schemaModel), targets, { signal });
  return lookedUp?.filter(({ count }) => count > 0);
}

/**
 * Checks that the seed is compiled: before a command that empties tables first.
 * @throws {SuiteError} `SEED.NOT_BUILT`
 */
export function requireSeedBuilt(root: string): void {
  if (existsSync(entryOf(root))) return;
  throw new SuiteError('SEED.NOT_BUILT', 'The seed is not built', {
    kind: 'configuration',
    next: 'Run "npm run build"',
  });
}

function entryOf(root: string): string {
  return path.join(root, 'prisma', 'dist', 'seed.js');
}

/**
 * Inserts the seed's rows without checking references. Runs in a child process, because the seed loads the code of the
 * services, and this package must work without it.
 * @throws {SuiteError} `SEED.NOT_BUILT`, `SEED.ENDED`
 */
export async function runSeed(
  request: SeedRequest,
  options: RunOptions & Pick<SeedOptions, 'root' | 'environment'>,
): Promise<SeedReport['rows']> {
  if (options.signal?.aborted !== true) requireSeedBuilt(options.root);
  const entry = entryOf(options.root);
  const rows = new Map<string, SeedReport['rows'][number]>(
    request.services.map(({ name }) => [name, { service: name, state: 'not-started' }]),
  );
  for (const { name } of request.services) options.progress?.({ service: name, state: 'queued', detail: '' });
  if (options.signal?.aborted) return [...rows.values()];
  const exitCode = await runOrchestrator(entry, request, (message) => record(rows, message, options), options);
  if (exitCode !== 0 && !options.signal?.aborted) {
    throw new SuiteError('SEED.ENDED', 'The seed process ended before the seed was complete', {
      why: exitCode === null ? 'It was killed.' : `It exited with code ${exitCode}.`,
      next: 'Run the seed again; it skips the rows that exist',
    });
  }
  return [...rows.values()];
}

/** Runs the orchestrator until it has exited and all of its messages have been read; null means that it was killed. */
async function runOrchestrator(
  entry: string,
  request: SeedRequest,
  onMessage: (message: SeedMessage) => void,
  { root, signal, environment = {} }: Pick<SeedOptions, 'root' | 'signal' | 'environment'>,
): Promise<number | null> {
  let stop: (() => void) | undefined;
  try {
    return await new Promise<number | null>((resolve, reject) => {
      const child = fork(entry, {
        ...{ cwd: root, serialization: 'advanced', env: childEnvironment(environment) },
        // The types of fork lack this option, which Node passes on to spawn.
        ...OWN_GROUP,
      });
      killAtExit(child);
      child.on('error', reject);
      child.on('message', onMessage);
      let exitCode: number | null | undefined;
      // Messages may still be in the channel when the process has exited.
      const settle = () => {
        if (exitCode !== undefined && !child.connected) resolve(exitCode);
      };
      child.once('exit', (code) => {
        exitCode = code;
        settle();
      });
      child.once('disconnect', settle);
      // The orchestrator exits when the channel closes. It may have closed the channel itself.
      stop = () => {
        if (child.connected) child.disconnect();
      };
      signal?.addEventListener('abort', stop, { once: true });
      // A request that cannot be sent has found no process, and how the process ended is reported by its exit.
      child.send(request, () => undefined);
    });
  } catch (error) {
    throw new SuiteError('SEED.ENDED', 'The seed process did not start', {
      ...(isRecord(error) && typeof error['message'] === 'string' ? { why: `${error['message']}.` } : {}),
      next: 'Make sure that the system can start another Node.js process, then run the seed again',
      cause: error,
    });
  } finally {
    if (stop !== undefined) signal?.removeEventListener('abort', stop);
  }
}

function record(rows: Map<string, SeedReport['rows'][number]>, message: SeedMessage, { progress }: RunOptions): void {
  const { service } = message;
  if (message.kind === 'progress') {
    rows.set(service, { service, state: 'interrupted' });
    progress?.({ service, state: 'working', detail: message.detail });
  } else if (message.kind === 'done') {
    rows.set(service, { service, state: 'done', data: { volumeRows: message.rows } });
    const detail = message.rows === 0 ? 'seeded' : `seeded, ${countOf(message.rows, 'row')} of volume`;
    progress?.({ service, state: 'done', detail });
  } else {
    const { errorKind: kind, why, next } = message;
    const details = { kind, ...(why === undefined ? {} : { why }), ...(next === undefined ? {} : { next }) };
    rows.set(service, { service, state: 'failed', error: new SuiteError(message.code, message.message, details) });
    progress?.({ service, state: 'failed', detail: message.message });
  }
}
