// Run by mint.bench.js as a process of its own, as pgbench is: `node mint-load.js '{"way": "transfer", …}'`.
const { randomUUID } = require('node:crypto');
const { openMint, transfer, transferMany } = require('@azora/mint');
const { rateOf } = require('./measure.js');

const BODY_HASH = '0'.repeat(64);

const WAYS = {
  transfer:
    ({ mint, pairOf, key }) =>
    (client, turn) => {
      const [from, to] = pairOf(client);
      return transfer(mint, { from, to, amount: '0.01', idempotencyKey: `${key}-${client}-${turn}` });
    },
  /** A share of the transfers is from an empty wallet: a rejection is an answer too. */
  partlyRejected:
    ({ mint, pairOf, key, emptyWallet, share, rejected }) =>
    async (client, turn) => {
      const [from, to] = pairOf(client);
      const idempotencyKey = `${key}-${client}-${turn}`;
      if (Math.random() >= share) return transfer(mint, { from, to, amount: '0.01', idempotencyKey });
      rejected.count += 1;
      return transfer(mint, { from: emptyWallet, to, amount: '0.01', idempotencyKey }).then(
        () => Promise.reject(new Error('a transfer from an empty wallet was made')),
        (error) => (error.code === 'MINT.INSUFFICIENT_FUNDS' ? undefined : Promise.reject(error)),
      );
    },
  transferMany:
    ({ mint, pairOf, key, batch }) =>
    (client, turn) => {
      const transfers = Array.from({ length: batch }, () => {
        const [from, to] = pairOf(client);
        return { from, to, amount: '0.01' };
      });
      return transferMany(mint, { transfers, idempotencyKey: `${key}-${client}-${turn}` });
    },
  /** The same as the SQL function, written as most users of Prisma would. */
  prisma:
    ({ mint, pairOf, key }) =>
    (client, turn) => {
      const [fromId, toId] = pairOf(client);
      const [id, requestKey] = [randomUUID(), `${key}-${client}-${turn}`];
      return mint.prisma.$transaction(async (tx) => {
        await tx.request.create({
          data: { key: requestKey, operation: 'transfer', bodyHash: BODY_HASH, answer: { transactionIds: [id] } },
        });
        const wallets = await tx.$queryRaw`SELECT id, kind, currency, status, balance, held FROM wallets
        WHERE id IN (${fromId}, ${toId}) ORDER BY id COLLATE "C" FOR NO KEY UPDATE`;
        const payer = wallets.find((wallet) => wallet.id === fromId);
        if (payer.balance.minus(payer.held).lessThan('0.01')) throw new Error('insufficient funds');
        const { currency } = payer;
        return tx.transaction.create({
          data: { id, type: 'transfer', fromId, toId, currency, amount: '0.01', requestKey },
        });
      });
    },
};

/** Sessions of one process: the server's limit is 100. */
const MAX_SESSIONS = 64;

async function main({ way, url, clients, seconds, wallets, merchant, batch, emptyWallet, share }) {
  const mint = openMint({ url, pool: { max: Math.min(clients, MAX_SESSIONS) } });
  const rejected = { count: 0 };
  const random = (below) => Math.floor(Math.random() * below);
  const uniform = () => {
    const from = random(wallets.length);
    return [wallets[from], wallets[(from + 1 + random(wallets.length - 1)) % wallets.length]];
  };
  const pairOf = merchant === undefined ? uniform : (client) => [wallets[client], merchant];
  const work = WAYS[way]({ mint, pairOf, batch, emptyWallet, share, rejected, key: randomUUID() });
  const { perSecond, done } = await rateOf({ clients, seconds }, work);
  await mint.close();
  console.log(JSON.stringify({ perSecond, done: done - rejected.count }));
}

main(JSON.parse(process.argv[2])).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
