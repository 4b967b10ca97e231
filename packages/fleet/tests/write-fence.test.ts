import { withClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import { beginBackup } from '../src/postgres/dump/snapshot';
import { withWriteFence } from '../src/postgres/dump/write-fence';
import { type GivenFleet, givenMigratedFleet, removeFleets } from './fleet-fixture';
import { openClient, rowsOf } from './migrations-fixture';

describe('withWriteFence', () => {
  const open: Client[] = [];
  let fleet: GivenFleet;
  beforeAll(async () => {
    const notes = { schema: 'model Note {\n  id Int @id\n}', up: 'CREATE TABLE notes (id int PRIMARY KEY)' };
    fleet = await givenMigratedFleet({ left: notes, right: notes });
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((client) => client.end().catch(() => undefined)));
  });
  afterAll(removeFleets);

  const givenSession = async (service: string) => {
    const { admin } = fleet.target(service);
    const tables = await withClient(admin, async (client) => {
      const found = await beginBackup(client);
      await client.query('ROLLBACK');
      return found;
    });
    const client = await openClient(admin, 'fence');
    open.push(client);
    return { client, tables };
  };
  const terminate = ({ client }: { readonly client: Client }) =>
    rowsOf(
      fleet.target('left').maintenance,
      `SELECT pg_terminate_backend(${(client as Client & { readonly processID: number }).processID}, 10000)`,
    );

  it('returns the result of the work, and writers continue afterwards', async () => {
    const sessions = [await givenSession('left'), await givenSession('right')];

    expect(await withWriteFence(sessions, async () => 'done')).toEqual({ result: 'done', heldMs: expect.any(Number) });

    for (const { admin } of fleet.targets) await rowsOf(admin, 'INSERT INTO notes VALUES (1)');
  });

  it('throws the error of the work, even when a session of the fence is lost', async () => {
    const sessions = [await givenSession('left'), await givenSession('right')];
    const [first] = sessions;

    const fenced = withWriteFence(sessions, async () => {
      if (first !== undefined) await terminate(first);
      throw new Error('the snapshot failed');
    });

    await expect(fenced).rejects.toThrow('the snapshot failed');
  });

  it('fails when a session of the fence is lost, because writers may have continued', async () => {
    const sessions = [await givenSession('left'), await givenSession('right')];
    const [first] = sessions;

    const fenced = withWriteFence(sessions, async () => {
      if (first !== undefined) await terminate(first);
    });

    await expect(fenced).rejects.toThrow();
  });

  it('releases the other databases when one session is lost before the fence is complete', async () => {
    const sessions = [await givenSession('left'), await givenSession('right')];
    const [first] = sessions;
    if (first !== undefined) await terminate(first);

    await expect(withWriteFence(sessions, async () => 'done')).rejects.toThrow();

    await rowsOf(fleet.target('right').admin, `SET lock_timeout = '5s'; INSERT INTO notes VALUES (2)`);
  });
});
