/** @server any */
import { useDatabase } from '@azora/db-testkit';
import { createShareLink, type Debate, erasePerson, exportPerson, queueWebhooks } from '../src';
import { fresh, givenStore, givenWebhook } from './given';

describe('a person', () => {
  const db = useDatabase('debate');
  let debate: Debate;
  beforeAll(() => {
    debate = givenStore(db());
  });
  afterAll(() => debate.close());

  async function given(userId: string) {
    const share = await createShareLink(debate, { debateId: fresh('debate'), ownerId: userId });
    const hook = await givenWebhook(debate, `https://${userId}.example/hook`, userId);
    await queueWebhooks(debate, {
      messageId: fresh('msg'),
      eventType: 'error',
      data: { about: userId },
      to: { userId },
    });
    await db().app(`INSERT INTO audit_logs (id, user_id, action) VALUES ('${userId}', '${userId}', 'share.created')`);
    return { share, hook };
  }

  it('is exported whole, without tokens and secrets', async () => {
    const { share, hook } = await given('ada');
    await given('bob');

    const all = await exportPerson(debate, 'ada');

    expect(
      Object.entries(all)
        .map(([list, rows]) => `${list} ${rows.length}`)
        .sort(),
    ).toEqual([...['auditLogs 1', 'shareLinks 1', 'webhookDeliveries 1', 'webhooks 1']]);
    const text = JSON.stringify(all);
    expect([share.token, hook.secret, 'sha256:', '"secret"', 'bob'].filter((part) => text.includes(part))).toEqual([]);
  });

  it('is erased in every table but the audit log, and nobody else is', async () => {
    await given('eve');
    await given('joe');

    const erased = [await erasePerson(debate, 'eve'), await erasePerson(debate, 'eve')];

    expect(erased).toEqual([
      { shareLinks: 1, webhooks: 1, retained: 1 },
      { shareLinks: 0, webhooks: 0, retained: 1 },
    ]);
    const left = await exportPerson(debate, 'eve');
    expect(
      Object.entries(left)
        .filter(([, rows]) => rows.length > 0)
        .map(([list]) => list),
    ).toEqual(['auditLogs']);
    const tables =
      await db().admin(`SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
      AND relname NOT IN ('audit_logs', 'outbox', '_prisma_migrations')`);
    for (const { name } of tables) {
      const [found] = await db().admin(`SELECT count(*)::int AS rows FROM "${name}" AS t WHERE t::text LIKE '%eve%'`);
      expect([name, found]).toEqual([name, { rows: 0 }]);
    }
    expect((await exportPerson(debate, 'joe'))['webhooks']).toHaveLength(1);
  });

  it('does not deadlock with changes at the same time', async () => {
    await Promise.all(
      Array.from({ length: 4 }, async (_, n) => {
        const userId = fresh('user');
        await given(userId);
        await Promise.all([
          erasePerson(debate, userId),
          queueWebhooks(debate, { messageId: fresh('msg'), eventType: 'error', data: { n }, to: { userId } }),
          givenWebhook(debate, 'https://x.example/', userId),
        ]);
        await erasePerson(debate, userId);
        expect((await exportPerson(debate, userId))['webhooks']).toEqual([]);
      }),
    );
  });
});
