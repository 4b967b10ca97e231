import { findDatabaseError, type SeedMessage, type SeedRequest, type SeedTarget, SuiteError } from '@azora/db-core';
import { seedContext } from './personas';
import { seedBase, seedVolume } from './service-seed';

/** Runs the seeds of all services, one wave at a time, and sends the result of each to the parent process. */
export async function seedFleet(request: SeedRequest): Promise<void> {
  const names = request.services.map(({ name }) => name).sort();
  const context = seedContext(new Date(), names, request.repositoryRoot);
  for (const wave of request.waves) {
    const targets = request.services.filter(({ name }) => wave.includes(name));
    await Promise.all(
      targets.map(async (target) => {
        try {
          report({ kind: 'done', service: target.name, rows: await seedService(target, request.scale, context) });
        } catch (error) {
          report(failure(target.name, error));
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
  // The package name comes from the manifest, so a new service needs no change here.
  const { seed } = await import(`${target.packageName}/seed`);
  report({ kind: 'progress', service: target.name, detail: 'fixed rows' });
  await seedBase(seed, target.url, context);
  if (scale === 0) return 0;
  return seedVolume(seed, target.url, { scale, now: context.now }, (detail) =>
    report({ kind: 'progress', service: target.name, detail }),
  );
}

function failure(service: string, error: unknown): SeedMessage {
  if (error instanceof SuiteError) {
    const { code, kind: errorKind, message, why, next } = error;
    return { kind: 'failed', service, code, errorKind, message, why, next };
  }
  const databaseError = findDatabaseError(error);
  if (databaseError !== undefined) {
    const why = `PostgreSQL reported SQLSTATE ${databaseError.sqlState}.`;
    const { message } = databaseError;
    return { kind: 'failed', service, code: 'DATABASE.FAILED', errorKind: 'failure', message, why, next: undefined };
  }
  const message = error instanceof Error ? error.message : String(error);
  return {
    kind: 'failed',
    service,
    code: 'SEED.FAILED',
    errorKind: 'failure',
    message,
    why: undefined,
    next: undefined,
  };
}

/** Sends a message to the toolkit; when the toolkit is gone, the "disconnect" listener ends this process. */
function report(message: SeedMessage): void {
  process.send?.(message, undefined, undefined, () => undefined);
}
