import type { TestDatabase } from '@azora/db-testkit';
import {
  type Artifact,
  type CyclePhase,
  createWebhook,
  type Debate,
  type NewWebhook,
  openArtifact,
  openDebate,
  startCycle,
} from '../src';

/** A key of 32 bytes, as AZORA_ENCRYPTION_KEY has it. */
export const KEY = Buffer.alloc(32, 7).toString('base64');

let made = 0;

/** A name that no other row of the test file has. */
export function fresh(what: string): string {
  made += 1;
  return `${what}-${made}`;
}

/** A busy machine may take long to open connections. */
const PATIENT = { encryptionKeys: KEY, slowQueryMs: 3_600_000 };
const LIMITS = { connectTimeoutMs: 120_000, statementTimeoutMs: 120_000 };

export function givenStore(db: TestDatabase): Debate {
  return openDebate({ ...PATIENT, url: db.url, pool: { ...LIMITS, max: 6 } });
}

/** Several stores on one database, like those of several processes. */
export function givenStores(db: TestDatabase, count: number): readonly Debate[] {
  return Array.from({ length: count }, () => openDebate({ ...PATIENT, url: db.url, pool: { ...LIMITS, max: 3 } }));
}

/** The first phase of the first cycle of a new loop. */
export function givenCycle(debate: Debate, loopId = fresh('loop')): Promise<CyclePhase> {
  return startCycle(debate, { loopId, task: 'Cache the catalogue', idempotencyKey: fresh('key') });
}

export function givenArtifact(debate: Debate, agents: readonly string[] = ['ada', 'bob', 'cyd']): Promise<Artifact> {
  const input = { loopId: fresh('loop'), cycleNumber: 1, phase: 'debate', task: 'Explain tides', agents } as const;
  return openArtifact(debate, { ...input, idempotencyKey: fresh('key') });
}

/** A webhook of a new person that asks for errors. */
export function givenWebhook(debate: Debate, url: string, userId = fresh('user')): Promise<NewWebhook> {
  return createWebhook(debate, { userId, url, eventTypes: ['error'], idempotencyKey: fresh('key') });
}

/** The outcome of each call: the code of its error, or `done`. */
export async function outcomes(calls: readonly Promise<unknown>[]): Promise<readonly string[]> {
  const settled = await Promise.allSettled(calls);
  return settled.map((it) => (it.status === 'fulfilled' ? 'done' : String(it.reason.code ?? it.reason)));
}
