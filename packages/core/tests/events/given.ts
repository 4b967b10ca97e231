import { randomUUID } from 'node:crypto';
import { type CloudEvent, defineEvent, toCloudEvent } from '@azora/db-core/events';
import { z } from 'zod';

/** An event of a service that exists only in tests. */
export const itemMoved = defineEvent({
  service: 'shop',
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
      source: 'shop',
      type: itemMoved.type,
      key,
      data: { itemId: key, count: index + 1 },
      traceParent: null,
      time: new Date('2026-06-01T12:00:00Z'),
      position: String(index + 1),
    }),
  );
}
