/** @server any */
import { endSessionInside, repositoryRoot, rowsOf, useDatabase } from '@azora/db-testkit';
import { seedContext } from '../prisma/personas';
import { seedBase } from '../prisma/service-seed';

/** The services whose seed writes rows and then publishes their events; triggers publish those of the others. */
const PUBLISHING = ['debate', 'education', 'family', 'sapiens'];
const CONTEXT = seedContext(new Date('2026-06-01'), PUBLISHING, repositoryRoot());

describe.each(PUBLISHING)('the seed of %s', (name) => {
  const db = useDatabase(name);

  it('publishes every event once, also when it is ended between the rows and the events', async () => {
    const { seed } = await import(`@azora/${name}/seed`);
    const run = () => seedBase(seed, db().target.admin.href, CONTEXT);
    const events = () => db().admin('SELECT event_id FROM outbox ORDER BY position');
    const before = await rowsOf(db());

    expect(await endSessionInside(db(), 'LOCK TABLE outbox', run)).toBeInstanceOf(Error);
    expect(await rowsOf(db())).toEqual(before);

    await run();
    const published = await events();
    expect(published.length).toBeGreaterThan(5);
    await run();
    expect(await events()).toEqual(published);
  });
});
