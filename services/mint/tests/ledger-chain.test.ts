import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { repositoryRoot, useDatabase, useTestClock } from '@azora/db-testkit';
import { Client } from 'pg';
import { capture, closeWallet, type Mint, openMint, reconcile, snapshotMetrics, transfer, transferMany } from '../src';
import { type GivenLedger, givenLedger } from './corruptions-given';
import { dump, fresh, givenHold, givenWallet } from './ledger-given';

const MIGRATION = path.join(repositoryRoot(), 'services/mint/prisma/migrations/20261130000003_ledger_chain');

describe('the chains of the ledger', () => {
  const db = useDatabase('mint');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let mint: Mint;
  let given: GivenLedger;
  beforeAll(async () => {
    mint = openMint({ url: db().url });
    given = await givenLedger(mint, clock);
  });
  beforeEach(() => clock.set('2026-06-01T12:00:00Z'));
  afterEach(async () => {
    expect(await reconcile(mint)).toEqual([]);
  });
  afterAll(() => mint.close());

  const run = (file: string) => db().admin(readFileSync(path.join(MIGRATION, file), 'utf8'));
  const request = (key: string, ids: readonly string[]) => `
    INSERT INTO requests (key, operation, body_hash, answer, created_at)
    VALUES ('${key}', 'transfer', repeat('a', 64), '{"transactionIds": ${JSON.stringify(ids)}}', database_time());`;
  const insert = (key: string, rows: readonly string[], from: string, to: string, extra = '', values = '') => `
    INSERT INTO transactions (id, type, from_id, to_id, amount, request_key, created_at ${extra})
    VALUES ${rows.map((id) => `('${id}', 'transfer', '${from}', '${to}', 1, '${key}', database_time() ${values})`)};`;
  const eventsOf = async (id: string) => {
    const [row] = await db().admin(`SELECT entries::int, last_seq::int FROM wallets WHERE id = '${id}'`);
    return { entries: Number(row?.['entries']), lastSeq: Number(row?.['last_seq']) };
  };

  it('go back to the beginning of a history that was made before them', async () => {
    const chains = "SELECT id, entries, encode(chain, 'hex') AS chain FROM wallets ORDER BY id";
    const before = await db().admin(chains);

    await run('down.sql');
    await run('migration.sql');
    // PostgreSQL keeps the columns of a table in the plans of a session.
    await mint.close();
    mint = openMint({ url: db().url });

    const after = await db().admin(chains);
    expect(after.map(({ id, entries }) => `${id} ${entries}`)).toEqual(
      before.map(({ id, entries }) => `${id} ${entries}`),
    );
    expect(await reconcile(mint)).toEqual([]);
  });

  it('include the rows that an administrator inserts, one and many in a statement', async () => {
    const { ada, ben } = given.wallets;
    const before = await eventsOf(ada);
    const [one, many] = [fresh('direct'), fresh('direct')];

    await db().admin(request(one, [one]) + insert(one, [one], ada, ben));
    await db().admin(request(many, ['m1', 'm2', 'm3']) + insert(many, ['m1', 'm2', 'm3'], ada, ben));

    expect((await eventsOf(ada)).entries).toBe(before.entries + 4);
  });

  it('take neither a number nor a hash from a client', async () => {
    const { ada, ben } = given.wallets;
    const key = fresh('forged');

    await db().admin(
      request(key, [key]) + insert(key, [key], ada, ben, ', seq, hash', ", 9223372036854775807, sha256('')"),
    );
    await transfer(mint, { from: ada, to: ben, amount: '1', idempotencyKey: fresh('after') });

    const [row] = await db().admin(`SELECT seq::int FROM transactions WHERE id = '${key}'`);
    expect(Number(row?.['seq'])).toBeLessThan((await eventsOf(ada)).lastSeq);
  });

  it('number a row again whose wallets another session changed first', async () => {
    const { ada, ben } = given.wallets;
    const [first, second] = [new Client(db().target.admin.href), new Client(db().target.admin.href)];
    await Promise.all([first.connect(), second.connect()]);
    const [late, early] = [fresh('late'), fresh('early')];
    try {
      await first.query(`BEGIN; SELECT FROM wallets WHERE id = '${ada}' FOR NO KEY UPDATE`);
      const waiting = second.query(request(late, [late]) + insert(late, [late], ada, ben));
      const blocked = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
      while ((await db().admin(blocked))[0]?.['n'] === 0) await sleep(5);
      await first.query(
        `SELECT transfer_money('${early}', repeat('a', 64), '${early}', '${ada}', '${ben}', 1, NULL); COMMIT`,
      );
      await waiting;
    } finally {
      await Promise.all([first.end(), second.end()]);
    }

    const rows = await db().admin(`SELECT id FROM transactions WHERE id IN ('${late}', '${early}') ORDER BY seq`);
    expect(rows.map(({ id }) => id)).toEqual([early, late]);
  });

  it('do not trust a session that claims to have locked the wallets', async () => {
    const { ada, ben } = given.wallets;
    const key = fresh('claimed');
    const mark = `SET azora.wallets_locked_for = '${key}';`;

    await db().admin(mark + request(key, [key]) + insert(key, [key], ada, ben));
    const rich = insert('rich', ['rich'], 'treasury-AZR', ben).replace("'transfer'", "'reward'");
    await expect(
      db().admin(
        `SET azora.wallets_locked_for = 'rich'; ${request('rich', ['rich'])} ${insert('rich', ['rich'], ada, 'treasury-AZR')}`,
      ),
    ).rejects.toMatchObject({ code: expect.stringMatching(/^(AZ001|40001)$/) });
    await db().admin(`SET azora.wallets_locked_for = 'rich'; ${request('rich', ['rich'])} ${rich}`);
    await db().admin('RESET azora.wallets_locked_for');
  });

  it('reject every event while the sequence is behind the wallets, and continue when it is not', async () => {
    const { ada, ben } = given.wallets;
    const holdId = await givenHold(mint, ada, '1', ben);
    const empty = await givenWallet(mint, '0');
    await transfer(mint, { from: ada, to: empty, amount: '1', idempotencyKey: fresh('in') });
    await transfer(mint, { from: empty, to: ada, amount: '1', idempotencyKey: fresh('out') });
    const input = () => ({ from: ada, to: ben, amount: '1', idempotencyKey: fresh('key') });
    const direct = (count: number) => {
      const ids = Array.from({ length: count }, () => fresh('direct'));
      const key = fresh('direct');
      return db().admin(request(key, ids) + insert(key, ids, ada, ben));
    };
    const events: readonly (() => Promise<unknown>)[] = [
      () => transfer(mint, input()),
      () => Promise.all([transfer(mint, input()), transfer(mint, input())]),
      () => transferMany(mint, { transfers: [{ from: ada, to: ben, amount: '1' }], idempotencyKey: fresh('key') }),
      () => direct(1),
      () => direct(3),
      () => givenHold(mint, ada, '1', ben),
      () => capture(mint, { holdId, idempotencyKey: fresh('key') }),
      () => closeWallet(mint, { walletId: empty }),
      () => snapshotMetrics(mint),
    ];
    const [kept] = await db().admin('SELECT last_value FROM ledger_seq');
    const before = await dump(db());

    for (const event of events) {
      await db().admin("SELECT setval('ledger_seq', 1)");
      await expect(event()).rejects.toThrow();
    }

    expect(await dump(db())).toEqual(before);
    await db().admin(`SELECT setval('ledger_seq', ${kept?.['last_value']})`);
    for (const event of events) await event();
  });

  it.each([
    'UPDATE transactions SET seq = seq + 1',
    "UPDATE transactions SET hash = ''",
    "UPDATE requests SET hash = ''",
    'UPDATE holds SET seq = seq + 1',
    "UPDATE holds SET resolved_hash = ''",
    "UPDATE wallets SET chain = ''",
    'UPDATE wallets SET entries = entries + 1, last_seq = 0',
    "UPDATE wallets SET created_at = created_at - interval '1 day'",
    'UPDATE economic_metrics SET gini = 0',
    'DELETE FROM economic_metrics',
  ])('reject even an administrator: %s', async (sql) => {
    await expect(db().admin(sql)).rejects.toMatchObject({ code: '23001' });
  });

  it('keep the hash of a stake and of a record that an administrator tries to write', async () => {
    await db().admin("UPDATE stakes SET hash = '', state_hash = '' WHERE status = 'active'");
  });
});
