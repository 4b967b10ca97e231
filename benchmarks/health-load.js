// A process of its own for the benchmark of health, like its peers: `append` appends lines and prints the seconds; `wait` appends single
// lines for some seconds and prints the longest wait, while months are dropped if asked.
const { appendLogs, maintainHealth, openHealth } = require('@azora/health');

const LINES_PER_CALL = 10_000;
const CLIENTS = 4;

async function main({ way, url, lines, seconds, drop }) {
  const health = openHealth({ url, pool: { max: CLIENTS + 1 } });
  try {
    // Connects, and compiles the code.
    await appendLogs(health, { lines: linesOf(10) });
    if (way === 'append') return await append(health, lines);
    return await longestWait(health, seconds, drop);
  } finally {
    await health.close();
  }
}

async function append(health, count) {
  const calls = Array.from({ length: count / LINES_PER_CALL }, (_, call) =>
    linesOf(LINES_PER_CALL, call * LINES_PER_CALL),
  );
  const started = process.hrtime.bigint();
  for (const lines of calls) await appendLogs(health, { lines });
  return { seconds: Number(process.hrtime.bigint() - started) / 1e9 };
}

async function longestWait(health, seconds, drop) {
  const end = performance.now() + seconds * 1_000;
  const write = async () => {
    let longest = 0;
    while (performance.now() < end) {
      const started = performance.now();
      await appendLogs(health, { lines: linesOf(1) });
      longest = Math.max(longest, performance.now() - started);
    }
    return longest;
  };
  const dropMonths = async () => {
    const dropped = [];
    while (drop && performance.now() < end) dropped.push(...(await maintainHealth(health)).monthsDropped);
    return dropped;
  };
  const [dropped, ...longest] = await Promise.all([dropMonths(), ...Array.from({ length: CLIENTS }, write)]);
  return { longest: Math.max(...longest), dropped: dropped.length };
}

/** Lines as services write them: a tenth has a person, a request and metadata. */
function linesOf(count, first = 0) {
  return Array.from({ length: count }, (_, index) => {
    const n = first + index;
    const line = {
      level: ['INFO', 'DEBUG', 'INFO', 'WARN', 'INFO', 'ERROR'][n % 6],
      service: ['auth', 'mint', 'forge', 'nexus'][n % 4],
      message: `Request ${n} was answered after ${n % 997} ms`,
    };
    if (n % 10 > 0) return line;
    return {
      ...line,
      userId: `user-${n % 1_000}`,
      requestId: `request-${n}`,
      metadata: { attempt: n % 3, path: '/v1/items' },
    };
  });
}

module.exports = { linesOf };

if (require.main === module) {
  main(JSON.parse(process.argv[2])).then(
    (result) => process.stdout.write(JSON.stringify(result)),
    (error) => {
      console.error(error);
      process.exitCode = 1;
    },
  );
}
