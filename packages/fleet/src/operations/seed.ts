import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { type SeedMessage, type SeedRequest, SuiteError } from '@azora/db-core';
import type { PasswordOf } from '../config/credentials';
import { references, type SchemaModel, serviceOrder } from '../schema/schema-model';
import { childEnvironment, type Environment } from '../system/child-environment';
import { countOf } from './count';
import type { RunOptions, ServiceRow } from './fleet';
import { findOrphans, type Orphans } from './references';
import { appUrl, type Target } from './targets';

export interface SeedOptions extends RunOptions {
  readonly root: string;
  /** The environment of the command; the seed's process gets the few variables that every program needs. */
  readonly environment?: Environment;
  /** Thousands of users to add to the fixed rows. */
  readonly scale: number;
}

export interface SeedReport {
  readonly rows: readonly ServiceRow<{ readonly volumeRows: number }>[];
  /** References whose ids no row of the other service has, after the run. */
  readonly orphans: readonly Orphans[];
}

/**
 * Seeds the services as their app roles, in the order of their references, then checks that every reference resolves.
 * Rows that exist are left as they are.
 * @throws {SuiteError} `SEED.NOT_BUILT`, `SEED.ENDED`
 */
export async function seedFleet(
  targets: readonly Target[],
  schemaModel: SchemaModel,
  passwordOf: PasswordOf,
  options: SeedOptions,
): Promise<SeedReport> {
  const request: SeedRequest = {
    services: targets.map((target) => ({
      name: target.service.name,
      packageName: target.service.packageName,
      url: appUrl(target, passwordOf).href,
    })),
    waves: serviceOrder(schemaModel),
    repositoryRoot: options.root,
    scale: options.scale,
  };
  const rows = await runSeed(request, options);
  const orphans = await findOrphans(references(schemaModel), targets);
  return { rows, orphans };
}

/**
 * Inserts the seed's rows and checks no reference. In a process of its own, because seeding loads the services' code and
 * this package must work without it.
 * @throws {SuiteError} `SEED.NOT_BUILT`, `SEED.ENDED`
 */
export async function runSeed(
  request: SeedRequest,
  options: RunOptions & Pick<SeedOptions, 'root' | 'environment'>,
): Promise<SeedReport['rows']> {
  const entry = path.join(options.root, 'prisma', 'dist', 'seed.js');
  if (!existsSync(entry)) {
    throw new SuiteError('SEED.NOT_BUILT', 'The seed is not built yet', {
      kind: 'configuration',
      next: 'Run "npm run build" first',
    });
  }
  const rows = new Map<string, SeedReport['rows'][number]>(
    request.services.map(({ name }) => [name, { service: name, state: 'not-started' }]),
  );
  for (const { name } of request.services) options.progress?.({ service: name, state: 'queued', detail: '' });
  const env = childEnvironment(options.environment ?? {});
  const child = fork(entry, { cwd: options.root, serialization: 'advanced', env });
  const stop = () => child.disconnect();
  options.signal?.addEventListener('abort', stop, { once: true });
  child.on('message', (message: SeedMessage) => record(rows, message, options));
  child.send(request);
  const exitCode = await new Promise<number | null>((resolve) => child.once('exit', resolve));
  options.signal?.removeEventListener('abort', stop);
  if (exitCode !== 0 && !options.signal?.aborted) {
    throw new SuiteError('SEED.ENDED', 'The seed ended before it was done', {
      why: exitCode === null ? 'It was killed.' : `It exited with ${exitCode}.`,
      next: 'Run it again; what is there already is passed over',
    });
  }
  return [...rows.values()];
}

function record(rows: Map<string, SeedReport['rows'][number]>, message: SeedMessage, { progress }: RunOptions): void {
  const { service } = message;
  if (message.kind === 'progress') {
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
