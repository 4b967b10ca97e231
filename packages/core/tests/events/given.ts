import { randomUUID } from 'node:crypto';
import type { Inside, Store, StoreOptions } from '@azora/db-core';
import { type CloudEvent, defineEvent, type EventTransaction, toCloudEvent } from '@azora/db-core/events';
import { z } from 'zod';

/** An event that exists only in tests. */
export const itemMoved = defineEvent({
  service: 'family',
  name: 'item-moved',
  version: 1,
  about: 'An item was moved.',
  data: z.strictObject({ itemId: z.string().regex(/^[a-z0-9-]{1,100}$/), count: z.int() }),
  key: ({ itemId }) => itemId,
});

/** Events as a bus delivers them, with positions from 1. */
export function givenEvents(keys: readonly string[]): readonly CloudEvent[] {
  return keys.map((key, index) =>
    toCloudEvent({
      id: randomUUID(),
      source: 'family',
      type: itemMoved.type,
      key,
      data: { itemId: key, count: index + 1 },
      traceParent: null,
      time: '2026-06-01T12:00:00.000Z',
      position: String(index + 1),
    }),
  );
}

/** The part of a generated client that the tests use in a transaction. */
export interface TestClient extends EventTransaction {
  $executeRaw(sql: TemplateStringsArray, ...values: readonly unknown[]): Promise<number>;
  $queryRaw<Result>(sql: TemplateStringsArray, ...values: readonly unknown[]): Promise<Result>;
}

export type TestTransaction = Inside<TestClient>;
export type TestStore = Store<TestClient, TestClient>;

/** Opens the store of a service with its generated client. Only its name is written here: core depends on no service. */
export async function openTestStore(url: string): Promise<TestStore> {
  const family: { openFamily(options: StoreOptions): TestStore } = await import(`@azora/${'family'}`);
  return family.openFamily({ url, logger: { warn: () => undefined } });
}
