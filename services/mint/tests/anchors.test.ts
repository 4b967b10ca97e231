/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { type Anchor, listAnchors, type Mint, openMint, reconcile, transfer } from '../src';
import { findingsAfter, type GivenLedger, givenLedger } from './corruptions-given';

/** Computes every hash and chain anew, so that they match what was changed. */
const REHASH = `
  UPDATE requests AS r SET hash = request_hash(r); UPDATE transactions AS t SET hash = transaction_hash(t);
  UPDATE holds AS h SET hash = hold_hash(h); UPDATE holds AS h SET resolved_hash = hold_resolved_hash(h);
  UPDATE stakes AS s SET hash = stake_hash(s); UPDATE stakes AS s SET state_hash = stake_state_hash(s);
  UPDATE mining_records AS m SET hash = mining_hash(m); UPDATE mining_records AS m SET decided_hash = mining_decided_hash(m);
  UPDATE wallets AS w SET entries = 0, chain = wallet_hash(w);
  UPDATE wallets AS w SET entries = e.entries, chain = e.chain FROM (
    SELECT e.wallet_id, count(*) AS entries, fold_chain(o.chain, e.link ORDER BY e.seq) AS chain
    FROM ledger_events() AS e JOIN wallets AS o ON o.id = e.wallet_id GROUP BY e.wallet_id) AS e WHERE e.wallet_id = w.id;
  UPDATE wallets AS w SET entries = entries + 1, chain = next_chain(chain, chain, wallet_closed_hash(w)) WHERE status = 'closed'`;

describe('anchors', () => {
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
    // Events reveal rewritten transactions too, but only until they are pruned.
    await db().admin('DELETE FROM outbox');
  });
  beforeEach(() => clock.set('2026-06-01T12:00:00Z'));
  afterAll(() => mint.close());

  const findingsOf = (sql: string, kept: readonly Anchor[]) => findingsAfter(db(), mint, sql, kept);
  /** Adds to the amount of a transaction and moves both balances. */
  const pay = (id: string, from: string, to: string) => `UPDATE transactions SET amount = amount + 5 WHERE id = '${id}';
    UPDATE wallets SET balance = balance - 5 WHERE id = '${from}'; UPDATE wallets SET balance = balance + 5 WHERE id = '${to}'`;

  it('are the only trace of a history that was rewritten together with its hashes', async () => {
    const { ada, ben } = given.wallets;
    const rewrite = `${pay(given.transactions.single, ada, ben)}; ${REHASH}`;

    expect(await findingsOf(rewrite, [])).toEqual([]);
    expect(await findingsOf(rewrite, anchors)).toEqual([ada, ben].sort().map((id) => `wallet.anchor ${id}`));
  });

  it('of two times name the rewritten row if it is the only one between them', async () => {
    const { ada, ben } = given.wallets;
    const later = (await listAnchors(mint)).anchors;
    const [row] = await db().admin("SELECT id FROM transactions WHERE request_key = 'later'");
    const rewrite = `${pay(String(row?.['id']), ben, ada)}; ${REHASH}`;

    expect(await findingsOf(rewrite, [...later, ...anchors])).toEqual([
      ...[ada, ben].sort().map((id) => `wallet.anchor ${id}`),
      `transaction.anchor ${row?.['id']}`,
    ]);
  });

  it('of the other wallet rule out the rows that they confirm', async () => {
    const { ada, ben } = given.wallets;
    const [row] = await db().admin("SELECT id FROM transactions WHERE request_key = 'later'");
    const later = (await listAnchors(mint)).anchors;
    const beforeAda = anchors.filter(({ walletId }) => walletId === ada);
    const rewrite = `${pay(String(row?.['id']), ben, ada)}; ${REHASH}`;
    const kept = [...beforeAda, ...later.filter(({ walletId }) => walletId === ada || walletId === ben)];

    expect(await findingsOf(rewrite, kept)).toContain(`transaction.anchor ${row?.['id']}`);
  });

  it('find a removed wallet without events', async () => {
    const removed = `DELETE FROM wallets WHERE id = 'treasury-ETH';
      DELETE FROM wallet_openings WHERE wallet_id = 'treasury-ETH'`;

    expect(await findingsOf(removed, anchors)).toEqual(['wallet.anchor treasury-ETH']);
  });

  it('are checked before they are compared', async () => {
    const chain = '0'.repeat(64);
    for (const anchor of [
      { walletId: 'ada', seq: '-1', chain },
      { walletId: 'ada', seq: '1', chain: 'x' },
    ])
      await expect(reconcile(mint, { anchors: [anchor] })).rejects.toMatchObject({ code: 'MINT.INVALID_INPUT' });
  });

  it('of all wallets are listed page by page', async () => {
    const all = (await listAnchors(mint)).anchors;
    const pages: Anchor[] = [];
    let cursor: string | undefined;
    do {
      const page = await listAnchors(mint, { limit: 3, ...(cursor === undefined ? {} : { cursor }) });
      pages.push(...page.anchors);
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);

    expect(pages).toEqual(all);
    expect(all).toHaveLength(13);
  });
});
