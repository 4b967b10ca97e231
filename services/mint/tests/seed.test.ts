/** @server any */
import { capabilitiesOf, type SeedContext, writeRows } from '@azora/db-core';
import { useDatabase } from '@azora/db-testkit';
import { Client } from 'pg';
import { seed } from '../seed';
import { reconcile } from '../src';
import { dump } from './ledger-given';

const NOW = new Date('2026-10-01T00:00:00Z');
const person = (id: string) => ({ id, email: '', name: '', role: 'student' as const, city: '', country: '', bio: '' });
const CONTEXT: SeedContext = {
  now: NOW,
  people: { student: person('s'), educator: person('e'), employer: person('m') },
  password: '',
  services: [],
  repositoryRoot: '',
};

describe('the seed', () => {
  const db = useDatabase('mint');

  async function seedBase(now: Date): Promise<void> {
    const handle = seed.open({ url: db().target.admin.href });
    await seed.base(handle, { ...CONTEXT, now });
    await handle.close();
  }
  async function differences() {
    const handle = seed.open({ url: db().url });
    const found = await reconcile(handle);
    await handle.close();
    return found;
  }

  it('gives each person 1000 from the treasury, and 500 of it is earned', async () => {
    await seedBase(NOW);

    const wallets = await db().app(`SELECT user_id, balance::float, earned::float, held::float FROM wallets
      WHERE kind = 'user' OR balance <> 0 ORDER BY user_id, balance`);
    const person = { balance: 1000, earned: 500, held: 0 };
    expect(wallets).toEqual([
      { ...person, user_id: 'e' },
      { ...person, user_id: 'm', held: 50 },
      { ...person, user_id: 's' },
      { user_id: null, balance: -3100, earned: 0, held: 0 },
      { user_id: null, balance: 100, earned: 0, held: 0 },
    ]);
    expect(await differences()).toEqual([]);
  });

  it('changes nothing when it runs again on another day', async () => {
    const before = await dump(db());

    await seedBase(new Date('2026-10-05T00:00:00Z'));

    expect(await dump(db())).toBe(before);
  });

  it('adds blocks of users whose balances are the sums of their transactions', async () => {
    const client = new Client(db().target.admin.href);
    await client.connect();
    await client.query('BEGIN');
    for (const rows of seed.volume({ firstUser: 0, userCount: 300, now: NOW })) {
      await writeRows(client, capabilitiesOf('PostgreSQL 18'), rows);
    }
    await client.query('COMMIT');
    await client.end();

    expect(await differences()).toEqual([]);
    const [counts] = await db().app(`SELECT count(*)::int AS wallets, min(balance) > 0 AS all_have_money
      FROM wallets WHERE kind = 'user'`);
    expect(counts).toEqual({ wallets: 303, all_have_money: true });
  });

  it('restores the system wallets after all tables are emptied', async () => {
    const tables = await db().admin(`SELECT relname::text AS name FROM pg_class
      WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> '_prisma_migrations'`);
    const each = (action: string) => tables.map(({ name }) => `ALTER TABLE ${name} ${action} TRIGGER USER;`).join(' ');
    await db().admin(`${each('DISABLE')} TRUNCATE ${tables.map(({ name }) => name).join(', ')}; ${each('ENABLE')}`);

    await seedBase(NOW);

    expect(await db().app("SELECT count(*)::int FROM wallets WHERE kind <> 'user'")).toEqual([{ count: 8 }]);
    expect(await differences()).toEqual([]);
  });
});
