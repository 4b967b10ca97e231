// A call of a store beside an interactive transaction of Prisma that does the same: calls per second, and CPU of the client for each.
const { middle, rateOf, rateRow, takeTurns } = require('./measure.js');

const CLIENTS = 8;

/** Yields both rows. `ours` and `prisma` make one call of a client; `verify` checks the database afterwards. */
async function* besidePrisma({ what, ours, prisma, runs, seconds, budget, verify = () => undefined }) {
  const cpu = { ours: [], prisma: [] };
  const load = (way, work) => async () => {
    const before = process.cpuUsage();
    const { perSecond, done } = await rateOf({ clients: CLIENTS, seconds }, work);
    const { user, system } = process.cpuUsage(before);
    cpu[way].push((user + system) / done);
    return perSecond;
  };
  const rates = await takeTurns(runs, { ours: load('ours', ours), prisma: load('prisma', prisma) });
  await verify();
  const label = `${what}, ${CLIENTS} clients`;
  yield rateRow(label, rates.ours, rates.prisma, 'an interactive transaction of Prisma', budget);
  const micros = (values) => `${Math.round(middle(values))} µs`;
  yield {
    what: `${label}, CPU of the client`,
    ours: micros(cpu.ours),
    peer: `${micros(cpu.prisma)} (an interactive transaction of Prisma)`,
    ratio: (middle(cpu.ours) / middle(cpu.prisma)).toFixed(2),
    budget: '≤ 0.5',
  };
}

/** A transaction of Prisma that waits for a busy machine: its own limits of 2 s to begin and 5 s to end would fail the benchmark. */
function inTransaction(prisma, work) {
  return prisma.$transaction(work, { maxWait: 60_000, timeout: 60_000 });
}

module.exports = { besidePrisma, CLIENTS, inTransaction };
