import { useDatabase } from '@azora/db-testkit';
import { type Mint, openMint, reconcile } from '../src';
import { dump, givenHold, givenWallet } from './ledger-given';

/** The SQLSTATE insufficient_privilege. */
const NO_RIGHT = '42501';
const REQUEST = `INSERT INTO requests (key, operation, body_hash, answer)
  VALUES ('raw', 'raw', repeat('a', 64), '{"transactionIds": ["raw"]}');`;
const MOVE = `${REQUEST} INSERT INTO transactions (id, type, from_id, to_id, currency, amount, request_key) VALUES`;

describe('the app role with its own SQL', () => {
  const db = useDatabase('mint');
  let mint: Mint;
  let wallet = '';
  beforeAll(async () => {
    mint = openMint({ url: db().url });
    wallet = await givenWallet(mint, '100');
    await givenHold(mint, wallet, '10');
    await db().admin("INSERT INTO wallets (id, user_id) VALUES ('thief', 'thief')");
  });
  afterEach(async () => {
    expect(await reconcile(mint)).toEqual([]);
  });
  afterAll(() => mint.close());

  it.each([
    ['UPDATE wallets SET balance = 1000000', NO_RIGHT],
    ["UPDATE wallets SET balance = balance + 1 WHERE id = 'thief'", NO_RIGHT],
    ['UPDATE wallets SET held = 0', NO_RIGHT],
    ["UPDATE wallets SET user_id = 'thief'", NO_RIGHT],
    ["UPDATE wallets SET status = 'closed'", NO_RIGHT],
    ['SELECT * FROM wallets FOR UPDATE', NO_RIGHT],
    ['DELETE FROM wallets', NO_RIGHT],
    ['TRUNCATE wallets CASCADE', NO_RIGHT],
    ['DELETE FROM transactions', NO_RIGHT],
    ['UPDATE transactions SET amount = 1', NO_RIGHT],
    ['TRUNCATE transactions CASCADE', NO_RIGHT],
    ['DELETE FROM requests', NO_RIGHT],
    ["UPDATE requests SET answer = '{}'", NO_RIGHT],
    ['TRUNCATE requests CASCADE', NO_RIGHT],
    ['DELETE FROM holds', NO_RIGHT],
    ["UPDATE holds SET status = 'released', resolved_at = now()", NO_RIGHT],
    ['TRUNCATE holds CASCADE', NO_RIGHT],
    ['ALTER TABLE wallets DISABLE TRIGGER ALL', NO_RIGHT],
    ['DROP TRIGGER wallets_money_moves_with_entries ON wallets', NO_RIGHT],
    ['DROP FUNCTION post_transactions() CASCADE', NO_RIGHT],
    ["SET session_replication_role = 'replica'", NO_RIGHT],
    ['SET ROLE pg_write_all_data', NO_RIGHT],
    ['CREATE TABLE wallets2 (id int)', NO_RIGHT],
    ["CREATE FUNCTION public.rich() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'", NO_RIGHT],
    ['CREATE TRIGGER rich AFTER INSERT ON wallets EXECUTE FUNCTION post_transactions()', NO_RIGHT],
    ["SELECT issue_money('raw', repeat('a', 64), 'raw', 'mining', 'thief', 1, NULL)", 'AZ001'],
    ['SELECT post_transactions()', NO_RIGHT],
    ["INSERT INTO wallets (id, user_id) VALUES ('rich', 'rich')", NO_RIGHT],
    [REQUEST, NO_RIGHT],
    [`${MOVE} ('raw', 'mint', 'treasury-AZR', 'thief', 'AZR', 1, 'raw')`, NO_RIGHT],
    [
      "INSERT INTO holds (id, wallet_id, amount, request_key, expires_at) VALUES ('raw', 'thief', 1, 'raw', now())",
      NO_RIGHT,
    ],
    [
      "INSERT INTO stakes (id, wallet_id, amount, annual_rate, locked_until) VALUES ('raw', 'thief', 1, 1, now())",
      NO_RIGHT,
    ],
    [
      `INSERT INTO mining_records (id, wallet_id, activity, proof_hash, knowledge_score, created_at)
        VALUES ('raw', 'thief', 'lesson', repeat('a', 64), 1, now() - interval '1 day')`,
      NO_RIGHT,
    ],
    [
      `INSERT INTO economic_metrics (id, captured_at, total_supply, circulating_supply, staked_supply, active_wallets,
        transaction_count) VALUES ('raw', now(), 1, 1, 0, 1, 1)`,
      NO_RIGHT,
    ],
    ["SELECT begin_request('raw', 'transfer', repeat('a', 64), '{}')", NO_RIGHT],
    ["SELECT lock_wallets('thief', 'treasury-AZR')", NO_RIGHT],
    ["SELECT lock_payment('thief', 'treasury-AZR', 1)", NO_RIGHT],
    ["SELECT lock_hold('raw', 'captured')", NO_RIGHT],
    ["SELECT lock_stake('raw')", NO_RIGHT],
    ["CREATE OR REPLACE FUNCTION public.database_time() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'", NO_RIGHT],
    ['ALTER FUNCTION database_time() RENAME TO real_time', NO_RIGHT],
  ])('cannot run: %s', async (sql, code) => {
    const before = await dump(db());

    await expect(db().app(sql)).rejects.toMatchObject({ code });

    expect(await dump(db())).toBe(before);
  });

  it.each(['0', '-1', '1e-9', '1.000000001', "'NaN'", "'Infinity'", '1e10', 'NULL'])(
    'cannot move an amount of %s: the functions do not round',
    async (amount) => {
      const before = await dump(db());
      const start = "repeat('a', 64)";
      const calls = [
        `transfer_money('f', ${start}, 'f', '${wallet}', 'thief', ${amount}, NULL)`,
        `transfer_many('f', ${start}, ARRAY['f'], ARRAY['${wallet}'], ARRAY['thief'], ARRAY[${amount}]::numeric[], ARRAY[NULL])`,
        `issue_money('f', ${start}, 'f', 'mint', 'thief', ${amount}, NULL)`,
        `hold_money('f', ${start}, 'f', '${wallet}', NULL, ${amount}, NULL, '1 day')`,
      ];
      for (const call of calls) {
        await expect(db().app(`SELECT ${call}`)).rejects.toMatchObject({ code: 'AZ001', message: 'amount_invalid' });
      }
      expect(await dump(db())).toBe(before);
    },
  );

  it.each([
    ['payer', "NULL, 'thief'"],
    ['receiver', "'thief', NULL"],
  ])('cannot move money without a %s', async (_side, sides) => {
    const before = await dump(db());
    const [from, to] = sides.split(', ');
    const start = "repeat('a', 64)";
    const lists = `ARRAY[${from}]::text[], ARRAY[${to}]::text[], ARRAY[1]::numeric[], ARRAY[NULL]`;

    const calls = [
      `transfer_money('n', ${start}, 'n', ${from}, ${to}, 1, NULL)`,
      `transfer_many('n', ${start}, ARRAY['n'], ${lists})`,
    ];
    for (const call of calls) {
      await expect(db().app(`SELECT ${call}`)).rejects.toMatchObject({ code: 'AZ001', message: 'wallet_not_found' });
    }
    const each = await db().app(`SELECT rule FROM transfer_each(ARRAY['n'], ARRAY[${start}], ARRAY['n'], ${lists})`);
    expect(each).toEqual([{ rule: 'wallet_not_found' }]);
    expect(await dump(db())).toBe(before);
  });

  it('gains nothing from its own triggers and tables, even with the right to create temporary ones', async () => {
    const { database, role } = db().target;
    await expect(db().app('CREATE TEMP TABLE bait (id int)')).rejects.toMatchObject({ code: NO_RIGHT });
    await db().admin(`GRANT TEMPORARY ON DATABASE "${database}" TO "${role}"`);
    const before = await dump(db());

    await db().app('CREATE TEMP TABLE bait (id int)');
    await db().app(`CREATE FUNCTION pg_temp.grab() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN UPDATE public.wallets SET balance = 1000000 WHERE id = 'thief'; RETURN NEW; END $$`);
    await db().app('CREATE TRIGGER grab AFTER INSERT ON bait FOR EACH ROW EXECUTE FUNCTION pg_temp.grab()');
    await expect(db().app('INSERT INTO bait VALUES (1)')).rejects.toMatchObject({ code: NO_RIGHT });

    // Temporary tables hide the real ones from a session, but not from the functions.
    await db().app('CREATE TEMP TABLE wallets AS SELECT * FROM public.wallets');
    await db().app("UPDATE pg_temp.wallets SET balance = 1000000 WHERE id = 'thief'");
    await db().app('CREATE TEMP TABLE requests AS SELECT * FROM public.requests');
    const steal = `SELECT transfer_money('steal', repeat('a', 64), 'steal', 'thief', '${wallet}', 500, NULL)`;
    await expect(db().app(steal)).rejects.toMatchObject({ message: 'insufficient_funds' });
    await db().app('DROP TABLE pg_temp.wallets, pg_temp.requests');

    expect(await dump(db())).toBe(before);
  });
});
