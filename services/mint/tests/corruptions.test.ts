/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { type Anchor, listAnchors, type Mint, openMint, reconcile, transfer } from '../src';
import { findingsAfter, type GivenLedger, givenLedger } from './corruptions-given';

/** What someone changed, the SQL of it, and the rows that `reconcile` must name. */
type Corruption = readonly [
  what: string,
  sql: (it: GivenLedger) => string,
  names: (it: GivenLedger) => readonly string[],
];

const change = (table: string, set: string, id: string, key = 'id') =>
  `UPDATE ${table} SET ${set} WHERE ${key} = '${id}'`;

/** A changed column of one row. */
const column = (
  table: string,
  set: string,
  idOf: (it: GivenLedger) => string,
  check: string,
  key = 'id',
): Corruption => [`${table}: ${set}`, (it) => change(table, set, idOf(it), key), (it) => [`${check} ${idOf(it)}`]];

const ada = (it: GivenLedger) => it.wallets.ada;
const single = (it: GivenLedger) => it.transactions.single;
const held = (it: GivenLedger) => it.holds.held;
const captured = (it: GivenLedger) => it.holds.captured;
const released = (it: GivenLedger) => it.holds.released;
const active = (it: GivenLedger) => it.stakes.active;
const short = (it: GivenLedger) => it.stakes.short;
const mined = (it: GivenLedger) => it.records.mined;
const rejected = (it: GivenLedger) => it.records.rejected;
const metrics = (it: GivenLedger) => it.metrics;
const request = (set: string, key: string) => column('requests', set, () => key, 'request.hash', 'key');

const WALLETS: readonly Corruption[] = [
  column('wallets', "user_id = 'mallory'", ada, 'wallet.chain'),
  column('wallets', "created_at = created_at - interval '1 day'", ada, 'wallet.chain'),
  column('wallets', 'balance = balance + 1', ada, 'wallet.balance'),
  column('wallets', 'held = 0', ada, 'wallet.held'),
  column('wallets', 'earned = earned + 1', ada, 'wallet.earned'),
  column('wallets', "status = 'closed', closed_at = now()", (it) => it.wallets.empty, 'wallet.chain'),
  column('wallets', "status = 'active', closed_at = NULL", (it) => it.wallets.shut, 'wallet.chain'),
  column('wallets', 'last_seq = last_seq + 1', (it) => it.wallets.shut, 'wallet.chain'),
  column('wallets', "closed_at = closed_at + interval '1 second'", (it) => it.wallets.shut, 'wallet.chain'),
  column('wallets', "kind = 'user', user_id = 'mallory'", () => 'staking-ETH', 'wallet.chain'),
  column('wallets', "currency = 'USD'", ada, 'wallet.chain'),
  column('wallets', 'entries = entries + 1', ada, 'wallet.entries'),
  column('wallets', 'last_seq = last_seq + 100000', ada, 'wallet.lastSeq'),
  column('wallets', "updated_at = 'infinity'", ada, 'wallet.updatedAt'),
  column('wallets', "chain = sha256('')", ada, 'wallet.chain'),
  [
    'a deleted wallet',
    (it) => `DELETE FROM wallets WHERE id = '${it.wallets.ben}'`,
    (it) => [`wallet.missing ${it.wallets.ben}`],
  ],
  ...(['empty', 'unused'] as const).map(
    (name): Corruption => [
      `a deleted wallet without transactions: ${name}`,
      (it) => `DELETE FROM wallets WHERE id = '${it.wallets[name]}'`,
      (it) => [`wallet.missing ${it.wallets[name]}`],
    ],
  ),
  [
    'a deleted opening',
    (it) => `DELETE FROM wallet_openings WHERE wallet_id = '${ada(it)}'`,
    (it) => [`opening.missing ${ada(it)}`],
  ],
  column('wallet_openings', "created_at = created_at + interval '1 day'", ada, 'opening.createdAt', 'wallet_id'),
];

const TRANSACTIONS: readonly Corruption[] = [
  column('transactions', 'amount = amount + 1', single, 'transaction.hash'),
  column('transactions', "type = 'burn'", single, 'transaction.hash'),
  column('transactions', "type = 'reward'", (it) => it.transactions.welcome, 'transaction.hash'),
  column('transactions', "from_id = 'treasury-AZR'", single, 'transaction.hash'),
  column('transactions', "to_id = 'treasury-AZR'", single, 'transaction.hash'),
  column('transactions', "currency = 'USD'", single, 'transaction.hash'),
  column('transactions', "description = 'Dinner'", single, 'transaction.hash'),
  column('transactions', "request_key = 'welcome'", single, 'transaction.hash'),
  column('transactions', "created_at = created_at - interval '1 year'", single, 'transaction.hash'),
  column('transactions', 'stake_id = NULL', (it) => it.transactions.claimed, 'transaction.hash'),
  column('transactions', 'hold_id = NULL', (it) => it.transactions.paid, 'transaction.hash'),
  column('transactions', "hash = sha256('')", single, 'transaction.hash'),
  column('transactions', 'amount = amount + 1', (it) => it.transactions.gathered[1] ?? '', 'transaction.hash'),
  column(
    'transactions',
    "created_at = created_at + interval '1 second'",
    (it) => it.transactions.many[0] ?? '',
    'transaction.hash',
  ),
  [
    'a renumbered transaction',
    (it) => change('transactions', 'seq = 1000000', single(it)),
    (it) => [`wallet.chain ${ada(it)}`, `transaction.hash ${single(it)}`],
  ],
  [
    'a renamed transaction',
    (it) => change('transactions', "id = 'other'", single(it)),
    (it) => ['transaction.hash other', `transaction.missing ${single(it)}`],
  ],
  [
    'a deleted transaction',
    (it) => `DELETE FROM transactions WHERE id = '${single(it)}'`,
    (it) => [`transaction.missing ${single(it)}`, `wallet.entries ${ada(it)}`],
  ],
  [
    'a duplicated transaction',
    (it) => `INSERT INTO transactions (id, type, from_id, to_id, amount, request_key, created_at, seq, hash)
      SELECT 'twice', type, from_id, to_id, amount, request_key, created_at, seq, hash FROM transactions WHERE id = '${single(it)}'`,
    () => ['transaction.hash twice'],
  ],
  [
    'an added transaction with a hash of its own',
    (it) => `INSERT INTO transactions (id, type, from_id, to_id, amount, request_key, created_at, seq)
      VALUES ('more', 'transfer', '${ada(it)}', '${it.wallets.ben}', 1, 'single', now(), nextval('ledger_seq'));
      UPDATE transactions AS t SET hash = transaction_hash(t) WHERE id = 'more'`,
    (it) => ['request.transactions single', `wallet.entries ${ada(it)}`],
  ],
];

const REQUESTS: readonly Corruption[] = [
  request(`answer = '{"transactionIds": []}'`, 'single'),
  request("body_hash = repeat('0', 64)", 'single'),
  request("operation = 'burn'", 'single'),
  request("created_at = created_at + interval '1 hour'", 'single'),
  request("body_hash = repeat('0', 64)", 'release'),
  request(`answer = answer || '{"recordId": "none"}'`, 'rejected'),
  [
    'a renamed key',
    () => change('requests', "key = 'other'", 'single', 'key'),
    () => ['request.hash other', 'request.missing single'],
  ],
  [
    'the deleted request of a transfer',
    () => "DELETE FROM requests WHERE key = 'single'",
    () => ['request.missing single'],
  ],
  [
    'the deleted request of a release',
    () => "DELETE FROM requests WHERE key = 'release'",
    () => ['request.missing release'],
  ],
  [
    'the deleted request of a rejected proof',
    () => "DELETE FROM requests WHERE key = 'rejected'",
    () => ['request.missing rejected'],
  ],
  [
    'an added request with a hash of its own',
    () => `INSERT INTO requests (key, operation, body_hash, answer) VALUES ('more', 'transfer', repeat('0', 64), '{"transactionIds": []}');
      UPDATE requests AS r SET hash = request_hash(r) WHERE key = 'more'`,
    () => ['request.unused more'],
  ],
];

const HOLDS: readonly Corruption[] = [
  column('holds', "wallet_id = 'treasury-AZR'", held, 'hold.hash'),
  column('holds', 'to_id = NULL', held, 'hold.hash'),
  column('holds', 'amount = amount + 1', held, 'hold.hash'),
  column('holds', "currency = 'USD'", held, 'hold.hash'),
  column('holds', "expires_at = expires_at + interval '10 years'", held, 'hold.hash'),
  column('holds', "created_at = created_at - interval '1 hour'", held, 'hold.hash'),
  column('holds', "description = 'Gift'", held, 'hold.hash'),
  column('holds', "request_key = 'single'", held, 'hold.hash'),
  column('holds', "status = 'released', resolved_at = created_at", held, 'hold.resolution'),
  column('holds', "status = 'held', captured_amount = 0, resolved_at = NULL", captured, 'hold.resolution'),
  column('holds', 'captured_amount = 5', captured, 'hold.resolution'),
  column('holds', "resolved_at = resolved_at + interval '1 minute'", captured, 'hold.resolution'),
  column('holds', "resolved_key = 'single'", released, 'hold.resolution'),
  column('holds', "status = 'released'", (it) => it.holds.expired, 'hold.resolution'),
  column('holds', 'seq = seq + 1000000', held, 'hold.hash'),
  column('holds', 'resolved_seq = resolved_seq + 1000000', (it) => it.holds.expired, 'hold.resolution'),
  ['a deleted hold', (it) => `DELETE FROM holds WHERE id = '${held(it)}'`, (it) => [`hold.missing ${held(it)}`]],
];

const STAKES: readonly Corruption[] = [
  column('stakes', "wallet_id = 'treasury-AZR'", active, 'stake.hash'),
  column('stakes', 'amount = amount + 1', active, 'stake.hash'),
  column('stakes', 'annual_rate = 1', active, 'stake.hash'),
  column('stakes', "started_at = started_at - interval '1 year'", active, 'stake.hash'),
  column('stakes', "locked_until = started_at + interval '1 second'", active, 'stake.hash'),
  column('stakes', "created_at = created_at - interval '1 second'", active, 'stake.hash'),
  column('stakes', "accrued_until = accrued_until + interval '1 microsecond'", active, 'stake.state'),
  column('stakes', 'rewards_accrued = rewards_accrued + 1', active, 'stake.state'),
  column('stakes', 'rewards_earned = 0', active, 'stake.state'),
  column('stakes', "status = 'withdrawn', withdrawn_at = locked_until", active, 'stake.state'),
  column('stakes', "status = 'active', withdrawn_at = NULL", short, 'stake.state'),
  column('stakes', "withdrawn_at = withdrawn_at + interval '1 hour'", short, 'stake.state'),
  ['a deleted stake', (it) => `DELETE FROM stakes WHERE id = '${active(it)}'`, (it) => [`stake.missing ${active(it)}`]],
];

const MINING: readonly Corruption[] = [
  column('mining_records', "wallet_id = 'treasury-AZR'", mined, 'mining.hash'),
  column('mining_records', "activity = 'course'", mined, 'mining.hash'),
  column('mining_records', "course_id = 'another'", mined, 'mining.hash'),
  column('mining_records', "proof_hash = repeat('0', 64)", mined, 'mining.hash'),
  column('mining_records', 'knowledge_score = 1', rejected, 'mining.hash'),
  column('mining_records', "created_at = created_at - interval '1 day'", mined, 'mining.hash'),
  column('mining_records', 'difficulty = difficulty + 1', mined, 'mining.decision'),
  column('mining_records', 'reward = reward + 1', mined, 'mining.decision'),
  column('mining_records', "rejection = 'daily_cap'", rejected, 'mining.decision'),
  column('mining_records', "decided_at = decided_at + interval '1 day'", mined, 'mining.decision'),
  column('mining_records', "status = 'rejected', reward = 0, transaction_id = NULL", mined, 'mining.decision'),
  column('mining_records', 'decided_seq = decided_seq + 1000000', mined, 'mining.decision'),
  column('mining_records', 'seq = 0', mined, 'mining.hash'),
  column('mining_totals', 'mined = mined + 1', ada, 'mining.total', 'wallet_id'),
  column('mining_totals', "created_at = created_at - interval '1 day'", ada, 'miningTotal.createdAt', 'wallet_id'),
  column('mining_totals', "created_at = created_at + interval '1 day'", ada, 'miningTotal.createdAt', 'wallet_id'),
  column('mining_totals', "updated_at = updated_at + interval '1 second'", ada, 'miningTotal.updatedAt', 'wallet_id'),
  column('mining_totals', "updated_at = '2020-01-01'", () => 'treasury-AZR', 'miningTotal.updatedAt', 'wallet_id'),
  [
    'deleted totals',
    (it) => `DELETE FROM mining_totals WHERE wallet_id = '${ada(it)}'`,
    (it) => [`mining.total ${ada(it)}`],
  ],
  [
    'a deleted record',
    (it) => `DELETE FROM mining_records WHERE id = '${rejected(it)}'`,
    (it) => [`mining.missing ${rejected(it)}`],
  ],
  column('economic_metrics', 'total_supply = total_supply + 1', metrics, 'metrics.hash'),
  column('economic_metrics', "captured_at = captured_at - interval '1 day'", metrics, 'metrics.hash'),
  column('economic_metrics', 'gini = 0', metrics, 'metrics.hash'),
  column('economic_metrics', 'seq = seq + 1000000', metrics, 'metrics.hash'),
  ['a deleted snapshot', () => 'DELETE FROM economic_metrics', () => ['wallet.entries treasury-AZR']],
];

/** Swaps a column of two rows. */
const swap = (table: string, name: string, key: string, one: string, other: string) => `
  UPDATE ${table} AS t SET ${name} = o.${name} FROM (SELECT * FROM ${table}) AS o
  WHERE (t.${key}, o.${key}) IN (('${one}', '${other}'), ('${other}', '${one}'))`;

const gathered = ({ transactions }: GivenLedger, place: number) => transactions.gathered[place] ?? '';
const both = (it: GivenLedger) => [`transaction.hash ${gathered(it, 0)}`, `transaction.hash ${gathered(it, 1)}`];

const SEVERAL: readonly Corruption[] = [
  [
    'the keys of two requests, swapped',
    () => `UPDATE requests SET key = 'swap' WHERE key = 'gathered-1'; UPDATE requests SET key = 'gathered-1' WHERE key = 'gathered-2';
      UPDATE requests SET key = 'gathered-2' WHERE key = 'swap'`,
    () => ['request.hash gathered-1', 'request.hash gathered-2'],
  ],
  [
    'the answers of two requests, swapped',
    () => swap('requests', 'answer', 'key', 'gathered-1', 'gathered-2'),
    () => ['request.hash gathered-1', 'request.hash gathered-2'],
  ],
  [
    'the amounts of two transactions, swapped',
    (it) => swap('transactions', 'amount', 'id', gathered(it, 0), gathered(it, 1)),
    both,
  ],
  [
    'the times of two transactions, swapped',
    (it) => swap('transactions', 'created_at', 'id', single(it), it.transactions.claimed),
    (it) => [`transaction.hash ${single(it)}`, `transaction.hash ${it.transactions.claimed}`],
  ],
  [
    'the keys of two transactions, swapped',
    (it) => swap('transactions', 'request_key', 'id', gathered(it, 0), gathered(it, 1)),
    both,
  ],
  [
    'the numbers of two transactions, swapped',
    (it) => swap('transactions', 'seq', 'id', gathered(it, 0), gathered(it, 1)),
    (it) => [`wallet.chain ${ada(it)}`],
  ],
  [
    'a transaction and both balances',
    (
      it,
    ) => `${change('transactions', 'amount = amount + 5', single(it))}; ${change('wallets', 'balance = balance - 5', ada(it))};
      ${change('wallets', 'balance = balance + 5', it.wallets.ben)}`,
    (it) => [`transaction.hash ${single(it)}`],
  ],
  [
    'a transaction with its hash, and both balances',
    (
      it,
    ) => `${change('transactions', 'amount = amount + 5', single(it))}; ${change('wallets', 'balance = balance - 5', ada(it))};
      ${change('wallets', 'balance = balance + 5', it.wallets.ben)}; UPDATE transactions AS t SET hash = transaction_hash(t)`,
    (it) => [`wallet.chain ${ada(it)}`, `wallet.chain ${it.wallets.ben}`],
  ],
  [
    'a removed transaction with its request, and both balances',
    (it) => `DELETE FROM transactions WHERE id = '${single(it)}'; DELETE FROM requests WHERE key = 'single';
      ${change('wallets', 'balance = balance + 7', ada(it))}; ${change('wallets', 'balance = balance - 7', it.wallets.ben)}`,
    (it) => [`wallet.chain ${ada(it)}`, `wallet.entries ${it.wallets.ben}`],
  ],
];

describe('reconcile on a corrupted ledger', () => {
  const db = useDatabase('mint');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let mint: Mint;
  let given: GivenLedger;
  let anchors: readonly Anchor[];
  beforeAll(async () => {
    mint = openMint({ url: db().url });
    given = await givenLedger(mint, clock);
    anchors = (await listAnchors(mint)).anchors;
    await transfer(mint, { from: given.wallets.ben, to: given.wallets.ada, amount: '1', idempotencyKey: 'later' });
  });
  beforeEach(() => clock.set('2026-06-01T12:00:00Z'));
  afterAll(() => mint.close());

  const findingsOf = (sql: string, kept: readonly Anchor[] = []) => findingsAfter(db(), mint, sql, kept);

  it('finds nothing in a clean ledger, with and without anchors', async () => {
    expect(await findingsOf('SELECT 1', anchors)).toEqual([]);
    expect(await reconcile(mint, { anchors })).toEqual([]);
  });

  it.each([...WALLETS, ...TRANSACTIONS, ...REQUESTS, ...HOLDS, ...STAKES, ...MINING, ...SEVERAL])(
    'names %s',
    async (_what, sql, names) => {
      expect(await findingsOf(sql(given))).toEqual(expect.arrayContaining([...names(given)]));
    },
  );

  it('names a transaction whose number was changed together with the last numbers of its wallets', async () => {
    const [later] = await db().admin("SELECT id FROM transactions WHERE request_key = 'later'");
    const { ada, ben } = given.wallets;
    const shifted = `${change('transactions', 'seq = seq + 5', String(later?.['id']))};
      UPDATE wallets SET last_seq = last_seq + 5 WHERE id IN ('${ada}', '${ben}')`;

    expect(await findingsOf(shifted)).toContain(`transaction.hash ${later?.['id']}`);
  });

  it('finds a sequence that was set back', async () => {
    const [kept] = await db().admin('SELECT last_value FROM ledger_seq');
    try {
      await db().admin("SELECT setval('ledger_seq', 1)");
      expect(await findingsOf('SELECT 1')).toEqual(['ledger.seq ledger_seq']);
    } finally {
      await db().admin(`SELECT setval('ledger_seq', ${kept?.['last_value']})`);
    }
  });
});
