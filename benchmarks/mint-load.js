// Run by mint.bench.js as a process of its own, as pgbench is: `node mint-load.js '{"way": "transfer", …}'`.
const { fork } = require('node:child_process');
const { randomUUID } = require('node:crypto');
const { once } = require('node:events');
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

async function main({ processes, ...load }) {
  const result = processes === undefined ? await run(load) : await runProcesses(processes, load);
  console.log(JSON.stringify(result));
}

async function run(
  { way, url, clients, seconds, warmUpSeconds, wallets, merchant, batch, emptyWallet, share },
  start = async () => {},
) {
  const mint = openMint({ url, pool: { max: Math.min(clients, MAX_SESSIONS) } });
  const rejected = { count: 0 };
  const random = (below) => Math.floor(Math.random() * below);
  const uniform = () => {
    const from = random(wallets.length);
    return [wallets[from], wallets[(from + 1 + random(wallets.length - 1)) % wallets.length]];
  };
  const pairOf = merchant === undefined ? uniform : (client) => [wallets[client], merchant];
  const work = WAYS[way]({ mint, pairOf, batch, emptyWallet, share, rejected, key: randomUUID() });
  await mint.pool.query('SELECT');
  await start();
  const { perSecond, done } = await rateOf({ clients, seconds, warmUpSeconds }, work);
  await mint.close();
  return { perSecond, done: done - rejected.count };
}

/** Runs the load in processes that start to send when all of them have connected. */
async function runProcesses(processes, load) {
  const children = Array.from({ length: processes }, () =>
    fork(__filename, { env: { ...process.env, MINT_LOAD: 'child' } }),
  );
  const reply = async (child) => {
    const [message] = await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(() => Promise.reject(new Error('a process of the load ended early'))),
    ]);
    return message;
  };
  const ready = Promise.all(children.map(reply));
  for (const child of children) child.send(load);
  await ready;
  const results = Promise.all(children.map(reply));
  for (const child of children) child.send('start');
  const all = await results;
  // A child that has sent its result and waits for nothing may have ended already.
  for (const child of children) if (child.connected) child.disconnect();
  const sum = (field) => all.reduce((total, result) => total + result[field], 0);
  return { perSecond: sum('perSecond'), done: sum('done') };
}

async function child() {
  const [load] = await once(process, 'message');
  const result = await run(load, async () => {
    const started = once(process, 'message');
    process.send('ready');
    await started;
  });
  process.send(result);
}

const entry = process.env.MINT_LOAD === 'child' ? child() : main(JSON.parse(process.argv[2]));
entry.catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
