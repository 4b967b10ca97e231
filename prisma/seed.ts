import { findDatabaseError, type SeedMessage, type SeedRequest, type SeedTarget, SuiteError } from '@azora/db-core';
import { seedContext } from './personas';
import { seedBase, seedVolume } from './service-seed';

/** Runs every service's seed, a wave of services at a time, and tells how each came out. Started by `azora-db seed`. */
async function seedFleet(request: SeedRequest): Promise<void> {
  const names = request.services.map(({ name }) => name).sort();
  const context = seedContext(new Date(), names, request.repositoryRoot);
  for (const wave of request.waves) {
    const targets = request.services.filter(({ name }) => wave.includes(name));
    await Promise.all(
      targets.map(async (target) => {
        try {
          tell({ kind: 'done', service: target.name, rows: await seedService(target, request.scale, context) });
        } catch (error) {
          tell(failure(target.name, error));
        }
      }),
    );
  }
}

async function seedService(
  target: SeedTarget,
  scale: number,
  context: ReturnType<typeof seedContext>,
): Promise<number> {
  // Found by its manifest, not listed here: a new service needs no change in this file.
  const { seed } = await import(`${target.packageName}/seed`);
  tell({ kind: 'progress', service: target.name, detail: 'fixed rows' });
  await seedBase(seed, target.url, context);
  if (scale === 0) return 0;
  return seedVolume(seed, target.url, { scale, now: context.now }, (detail) =>
    tell({ kind: 'progress', service: target.name, detail }),
  );
}

function failure(service: string, error: unknown): SeedMessage {
  if (error instanceof SuiteError) {
    const { code, kind: errorKind, message, why, next } = error;
    return { kind: 'failed', service, code, errorKind, message, why, next };
  }
  const fault = findDatabaseError(error);
  const code = fault === undefined ? 'SEED.FAILED' : 'DATABASE.FAILED';
  const message = fault?.message ?? (error instanceof Error ? error.message : String(error));
  const why = fault === undefined ? undefined : `PostgreSQL answered SQLSTATE ${fault.sqlState}.`;
  return { kind: 'failed', service, code, errorKind: 'failure', message, why, next: undefined };
}

function tell(message: SeedMessage): void {
  process.send?.(message);
}

if (process.send === undefined) {
  process.stderr.write('The seed is run by "npm run db:seed", which tells it where the databases are.\n');
  process.exitCode = 2;
} else {
  process.once('message', (request: SeedRequest) => {
    void seedFleet(request).finally(() => process.disconnect());
  });
  // Whoever asked is gone: stop, and let the servers roll back what was open.
  process.once('disconnect', () => process.exit());
}
