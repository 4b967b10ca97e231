import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot, type TestDatabase, useDatabase } from '@azora/db-testkit';
import { mint as issue, openMint, openWallet, reconcile } from '../src';

const FOLDER = path.join(repositoryRoot(), 'services/mint/prisma/migrations');
const NAMES = readdirSync(FOLDER).filter((name) => /^\d/.test(name) && !name.endsWith('_init'));
const run = (db: TestDatabase, name: string, file: string) =>
  db.admin(readFileSync(path.join(FOLDER, name, file), 'utf8'));

/** Rows of an earlier version: missing wallets, and a treasury with a positive balance and its own id. */
const OLD_ROWS = `
  INSERT INTO wallets (id, kind, user_id, balance, earned, created_at, updated_at) VALUES
    ('old-treasury', 'treasury', NULL, 900, 0, '2025-01-01', '2025-02-01'),
    ('ada', 'user', 'ada', 82, 110, '2025-01-01', '2025-02-01'),
    ('ben', 'user', 'ben', 20, 0, '2025-01-01', '2025-02-01');
  INSERT INTO stakes (id, wallet_id, amount, annual_rate, started_at, locked_until)
    VALUES ('stake', 'ada', 8, 0.1, '2025-01-03', '2026-01-03');
  INSERT INTO transactions (id, type, from_id, to_id, stake_id, amount, idempotency_key, created_at) VALUES
    ('genesis', 'mint', NULL, 'old-treasury', NULL, 1000, 'genesis', '2025-01-01'),
    ('paid', 'reward', 'old-treasury', 'ada', NULL, 100, 'paid', '2025-01-02'),
    ('issued', 'reward', NULL, 'ada', NULL, 10, 'issued', '2025-01-02'),
    ('gift', 'transfer', 'ada', 'ben', NULL, 20, 'gift', '2025-01-02'),
    ('staked', 'stake', 'ada', NULL, 'stake', 8, 'staked', '2025-01-03'),
    ('bought', 'mint', NULL, 'ben', NULL, 5, 'bought', '2025-01-03'),
    ('burned', 'burn', 'ben', NULL, NULL, 5, 'burned', '2025-01-04');`;

describe('the migration to the ledger', () => {
  const db = useDatabase('mint');
  const rows = () =>
    db().admin(`SELECT (SELECT jsonb_agg(to_jsonb(t) ORDER BY id) FROM transactions AS t) AS transactions,
      (SELECT jsonb_agg(to_jsonb(w) ORDER BY id) FROM wallets AS w) AS wallets`);
  const balances = async () =>
    Object.fromEntries(
      (await db().admin('SELECT id, balance::float FROM wallets WHERE balance <> 0')).map(({ id, balance }) => [
        id,
        balance,
      ]),
    );

  beforeAll(async () => {
    for (const name of [...NAMES].reverse()) await run(db(), name, 'down.sql');
  });

  it('fails and names the wallets when balances are not the sum of their transactions', async () => {
    const [ledger = ''] = NAMES;
    await db().admin("INSERT INTO wallets (id, user_id, balance) VALUES ('wrong', 'wrong', 1)");

    await expect(run(db(), ledger, 'migration.sql')).rejects.toMatchObject({
      message: 'balances that are not the sum of their transactions: wrong',
    });
    await db().admin("DELETE FROM wallets WHERE id = 'wrong'");
  });

  it('gives every transaction two wallets, and its down migration restores the old rows', async () => {
    await db().admin(OLD_ROWS);
    const old = await rows();

    for (const name of NAMES) await run(db(), name, 'migration.sql');

    expect(await balances()).toEqual({ ada: 82, ben: 20, 'old-treasury': -110, 'staking-AZR': 8 });
    const sides = await db().admin('SELECT id, from_id, to_id FROM transactions ORDER BY id');
    expect(sides.map(({ id, from_id, to_id }) => [id, from_id, to_id].join(' '))).toEqual([
      'bought old-treasury ben',
      'burned ben old-treasury',
      'genesis old-treasury old-treasury',
      'gift ada ben',
      'issued old-treasury ada',
      'paid old-treasury ada',
      'staked ada staking-AZR',
    ]);
    const mint = openMint({ url: db().target.admin.href });
    expect(await reconcile(mint)).toEqual([]);
    await mint.close();

    for (const name of [...NAMES].reverse()) await run(db(), name, 'down.sql');
    expect(await rows()).toEqual(old);
  });

  it('can be reverted and applied again after new transactions', async () => {
    for (const name of NAMES) await run(db(), name, 'migration.sql');
    const mint = openMint({ url: db().target.admin.href });
    const { id: to } = await openWallet(mint, { userId: 'new', currency: 'USD' });
    await issue(mint, { to, amount: '7', idempotencyKey: 'new' });
    await issue(mint, { to: 'ada', amount: '3', type: 'reward', idempotencyKey: 'more' });
    const before = await balances();

    for (const name of [...NAMES].reverse()) await run(db(), name, 'down.sql');
    expect(await balances()).toEqual({ ada: 85, ben: 20, 'old-treasury': 900, [to]: 7 });
    for (const name of NAMES) await run(db(), name, 'migration.sql');

    expect(await balances()).toEqual(before);
    expect(await reconcile(mint)).toEqual([]);
    await mint.close();
  });
});
