import type { Adapter, AdapterError, AdapterIntrospectOptions, Either } from '@prisma/studio-core/data';
import type { Introspected } from './federated-schema';

/** A service whose database could not be read. */
export interface Unread {
  readonly service: string;
  readonly error: AdapterError;
}

// One database that hangs must not keep the others from being shown.
const LONGEST_MS = 10_000;

type Outcome = Either<AdapterError, Introspected['result']>;

function tooLate(service: string): Promise<Outcome> {
  const error = new Error(`${service} did not describe its tables within ${LONGEST_MS / 1000} seconds`);
  return new Promise((resolve) => {
    window.setTimeout(() => resolve([error]), LONGEST_MS);
  });
}

/** Asks every database for its tables, and keeps those apart that do not answer. */
export async function introspectAll(
  adapters: ReadonlyMap<string, Adapter>,
  options: AdapterIntrospectOptions,
): Promise<{ readonly parts: readonly Introspected[]; readonly unread: readonly Unread[] }> {
  const outcomes = await Promise.all(
    [...adapters].map(async ([service, adapter]) => ({
      service,
      outcome: await Promise.race([adapter.introspect(options), tooLate(service)]),
    })),
  );
  const parts: Introspected[] = [];
  const unread: Unread[] = [];
  for (const { service, outcome } of outcomes) {
    const [error, result] = outcome;
    if (error === null) parts.push({ service, result });
    else unread.push({ service, error });
  }
  return { parts, unread };
}
