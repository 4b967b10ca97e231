import type { Duplex } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { withClient } from '@azora/db-migrate';
import { dumpSchema } from '../src/postgres/dump/schema';
import { type GivenFleet, givenFleet, removeFleets } from './fleet-fixture';
import { failureOf, openClient } from './migrations-fixture';

describe('dumpSchema', () => {
  let fleet: GivenFleet;
  beforeAll(async () => {
    fleet = await givenFleet({ notes: { schema: 'model Note {\n  id Int @id\n}', migrations: {} } });
  });
  afterAll(removeFleets);

  it('fails when its connection is lost while it waits in the queue, and later dumps continue', async () => {
    const { admin } = fleet.target('notes');
    const lost = await openClient(admin);
    lost.on('error', () => undefined);
    const first = withClient(admin, dumpSchema);
    const query = jest.spyOn(lost, 'query');
    const waiting = failureOf(dumpSchema(lost));
    // Its own query is answered. From here on the connection is lent to pg_dump, which still waits in the queue.
    await query.mock.results[0]?.value;
    await setImmediate();
    (lost as unknown as { connection: { stream: Duplex } }).connection.stream.destroy();

    expect(await waiting).toMatchObject({ code: 'BACKUP.SCHEMA_UNREADABLE' });
    await first;
    expect(await withClient(admin, dumpSchema)).toEqual(await first);
  });

  it('begins a thread of its own while the idle thread of earlier dumps ends', async () => {
    const { admin } = fleet.target('notes');
    const client = await openClient(admin);
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'Date', 'performance', 'hrtime'] });
    try {
      const first = await dumpSchema(client);
      jest.runOnlyPendingTimers();
      expect(await dumpSchema(client)).toEqual(first);
    } finally {
      jest.useRealTimers();
      await client.end();
    }
  });
});
