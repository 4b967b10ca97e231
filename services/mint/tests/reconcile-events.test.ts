/** @server any */
import { useDatabase } from '@azora/db-testkit';
import { type Mint, openMint, reconcile, transfer } from '../src';
import { fresh, givenWallet } from './ledger-given';

const NAME = "type = 'mint.transaction-posted.v1'";

describe('reconcile, of the events that the outbox holds,', () => {
  const db = useDatabase('mint');
  let mint: Mint;
  let [from, to, id] = ['', '', ''];
  beforeAll(async () => {
    mint = openMint({ url: db().url });
    [from, to] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    ({ id } = await transfer(mint, { from, to, amount: '1', idempotencyKey: fresh('key') }));
  });
  afterAll(() => mint.close());

  const differences = async () => (await reconcile(mint)).map(({ check, subject }) => `${check} ${subject}`);
  const ofTransfer = () => `${NAME} AND payload ->> 'transactionId' = '${id}'`;
  const eventOf = async () =>
    String((await db().admin(`SELECT event_id::text AS id FROM outbox WHERE ${ofTransfer()}`))[0]?.['id']);

  it.each([
    ['a deleted event', () => `DELETE FROM outbox WHERE ${ofTransfer()}`, async () => [`transaction.event ${id}`]],
    ['all events deleted', () => 'DELETE FROM outbox', async () => expect.arrayContaining([`transaction.event ${id}`])],
    [
      'another amount in an event',
      () => `UPDATE outbox SET payload = payload || '{"amount": "9.00000000"}' WHERE ${ofTransfer()}`,
      async () => [`event.transaction ${await eventOf()}`, `transaction.event ${id}`],
    ],
    [
      'an event twice',
      () => `INSERT INTO outbox (type, key, payload) SELECT type, key, payload FROM outbox WHERE ${ofTransfer()}`,
      async () => [`transaction.event ${id}`],
    ],
    [
      'an event without a transaction',
      () => `UPDATE outbox SET payload = payload || '{"transactionId": "none"}' WHERE ${ofTransfer()}`,
      async () => [`event.transaction ${await eventOf()}`, `transaction.event ${id}`],
    ],
    [
      'a movement that was hidden from the trigger',
      () => `ALTER TABLE transactions DISABLE TRIGGER zz_transactions_publish;
        INSERT INTO requests (key, operation, body_hash, answer, created_at)
          VALUES ('hidden', 'test', repeat('a', 64), '{"transactionIds": ["hidden"]}', database_time());
        INSERT INTO transactions (id, type, from_id, to_id, amount, request_key, created_at)
          VALUES ('hidden', 'transfer', '${from}', '${to}', 1, 'hidden', database_time());
        ALTER TABLE transactions ENABLE TRIGGER zz_transactions_publish`,
      async () => ['transaction.event hidden'],
    ],
  ])('finds %s', async (_what, sql, expected) => {
    expect(await differences()).toEqual([]);
    const wanted = await expected();
    await db().admin(`CREATE TABLE kept AS TABLE outbox; ${sql()}`);

    const found = await differences();
    await db().admin(`DELETE FROM outbox;
      INSERT INTO outbox (transaction_id, event_id, type, key, payload, created_at)
        SELECT transaction_id, event_id, type, key, payload, created_at FROM kept ORDER BY position; DROP TABLE kept`);

    expect(found).toEqual(wanted);
    await db().admin("DELETE FROM outbox WHERE payload ->> 'transactionId' = 'hidden'");
  });

  it('misses no event that was pruned, and none from before the outbox', async () => {
    await db().admin(`DELETE FROM outbox; UPDATE outbox_relay SET created_at = database_time()`);
    expect(await differences()).toEqual([]);
  });
});
