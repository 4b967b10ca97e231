import { useDatabase } from '@azora/db-testkit';

describe("a test's database", () => {
  const db = useDatabase('notification');
  const session = async () => (await db().app('SELECT pg_backend_pid() AS pid'))[0]?.['pid'];

  it('runs statements that are begun at once in sessions of their own', async () => {
    expect(new Set(await Promise.all(Array.from({ length: 8 }, session))).size).toBe(8);
  });

  it('keeps to one session for those that follow one another, one that is refused among them', async () => {
    const first = await session();

    await expect(db().app('SELECT 1 / 0')).rejects.toMatchObject({ code: '22012' });
    expect([await session(), await session()]).toEqual([first, first]);
  });
});
