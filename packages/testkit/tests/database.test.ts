import { useDatabase } from '@azora/db-testkit';

describe('a test database', () => {
  const db = useDatabase('notification');
  const session = async () => (await db().app('SELECT pg_backend_pid() AS pid'))[0]?.['pid'];

  it('runs concurrent statements in separate sessions', async () => {
    expect(new Set(await Promise.all(Array.from({ length: 8 }, session))).size).toBe(8);
  });

  it('runs sequential statements in one session, even after one of them failed', async () => {
    const first = await session();

    await expect(db().app('SELECT 1 / 0')).rejects.toMatchObject({ code: '22012' });
    expect([await session(), await session()]).toEqual([first, first]);
  });
});
