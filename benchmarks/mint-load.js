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
  transferMany:
    ({ mint, pairOf, key, batch }) =>
    (client, turn) => {
      const transfers = Array.from({ length: batch }, () => {
        const [from, to] = pairOf(client);
        return { from, to, amount: '0.01' };
      });
      return transferMany(mint, { transfers, idempotencyKey: `${key}-${client}-${turn}` });
    },
  /** What the SQL function does, written as most who use Prisma would. */
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

async function main({ way, url, clients, seconds, wallets, merchant, batch }) {
  const mint = openMint({ url, pool: { max: clients } });
  const random = (below) => Math.floor(Math.random() * below);
  const uniform = () => {
    const from = random(wallets.length);
    return [wallets[from], wallets[(from + 1 + random(wallets.length - 1)) % wallets.length]];
  };
  const pairOf = merchant === undefined ? uniform : (client) => [wallets[client], merchant];
  const result = await rateOf({ clients, seconds }, WAYS[way]({ mint, pairOf, batch, key: randomUUID() }));
  await mint.close();
  console.log(JSON.stringify(result));
}

main(JSON.parse(process.argv[2])).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
