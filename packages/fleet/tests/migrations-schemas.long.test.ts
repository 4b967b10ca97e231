/** @server any */
import { findDrift } from '../src/operations/migrations/drift';
import { migrateFleetDown, migrateFleetUp } from '../src/operations/migrations/migrate';
import { writeMigrations } from '../src/operations/migrations/new-migration';
import { removeFleets } from './fleet-fixture';
import { WAIT } from './migrations-fixture';
import { givenShop, INIT, schemaOf } from './schemas-fixture';

describe('a service with tables in several schemas', () => {
  afterEach(removeFleets);

  it('gets migrations that keep what schema.prisma cannot express, and can be reverted', async () => {
    const { target, write } = await givenShop();
    const now = new Date('2026-11-21T10:00:00Z');
    const draft = () => writeMigrations(target, { slug: 'change', why: 'a user asked for it', now });
    expect(await draft()).toEqual([]);
    await write(schemaOf('note String?\n  @@index([note])\n  @@unique([userId, total])', ['open', 'paid', 'late']));

    expect((await draft()).length).toBe(4);

    expect(await migrateFleetUp([{ target }], WAIT)).toMatchObject([{ state: 'done' }]);
    expect(await findDrift([target], {})).toMatchObject([{ data: { changes: [], unwritten: '' } }]);
    expect(await migrateFleetDown([{ target, to: INIT }], { acceptDataLoss: false }, WAIT)).toMatchObject([
      { state: 'done' },
    ]);
    expect(await findDrift([target], {})).toMatchObject([{ data: { changes: [] } }]);
  });
});
