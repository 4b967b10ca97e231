// Appending log lines against psql's \copy of the same rows into the same table with the same indexes, and the longest wait of a writer
// while retention drops months of the log against the longest one without retention. Then small batches with a key against an interactive
// transaction of Prisma.
const { createHash, randomUUID } = require('node:crypto');
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { besidePrisma, inTransaction } = require('./beside-prisma.js');
const { linesOf } = require('./health-load.js');
const { rateRow, runProgram, seconds, takeTurns } = require('./measure.js');
const { withServiceDatabase } = require('./service-database.js');

const LINES = 100_000;
const OLD_MONTHS = 6;
const OLD_LINES = 20_000;
const WAIT_SECONDS = 5;

const BATCH_LINES = 10;

exports.run = ({ runs, seconds: callSeconds = 3, ...context }) =>
  withServiceDatabase(context, 'health', async function* measure(urls) {
    yield await appending(urls, runs);
    yield* batchRows(urls, { runs, seconds: callSeconds });
    yield await dropping(urls);
  });

async function* batchRows(urls, { runs, seconds: callSeconds }) {
  const { appendLogs, openHealth } = require('@azora/health');
  const [health, administrator] = [openHealth({ url: urls.app }), openHealth({ url: urls.admin })];
  const lines = linesOf(BATCH_LINES);
  try {
    yield* besidePrisma({
      what: `health.appendLogs, ${BATCH_LINES} lines with a key`,
      ours: () => appendLogs(health, { lines, idempotencyKey: randomUUID() }),
      prisma: () => appendByPrisma(administrator, lines),
      ...{ runs, seconds: callSeconds, budget: '≥ 1.5' },
    });
  } finally {
    await Promise.all([health.close(), administrator.close()]);
  }
}

/** As most users of Prisma would write it. */
function appendByPrisma({ prisma }, lines) {
  const key = randomUUID();
  return inTransaction(prisma, async (tx) => {
    const earlier = await tx.logBatch.findUnique({ where: { key } });
    if (earlier !== null) return earlier.lines;
    const bodyHash = createHash('sha256').update(JSON.stringify(lines)).digest('hex');
    await tx.logBatch.create({ data: { key, bodyHash, lines: lines.length } });
    const { count } = await tx.log.createMany({ data: lines.map((line) => ({ id: randomUUID(), ...line })) });
    return count;
  });
}

async function appending({ app, admin }, runs) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'azora-bench-logs-'));
  try {
    const file = path.join(folder, 'logs.copy');
    writeFileSync(file, copyText());
    const columns = 'id, level, service, message, user_id, request_id, metadata, created_at';
    const copy = ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', admin, '-c', `\\copy logs (${columns}) FROM '${file}'`];
    const rates = await takeTurns(
      runs,
      {
        ours: () => LINES / runProgram('health-load.js', { way: 'append', url: app, lines: LINES }).seconds,
        peer: () => LINES / seconds('psql', copy),
      },
      () => administer(admin, 'TRUNCATE logs; CHECKPOINT'),
    );
    const what = `health.appendLogs, ${LINES.toLocaleString('en')} lines, 10,000 a call`;
    return rateRow(what, rates.ours, rates.peer, 'psql \\copy of the same rows', '≥ 0.6');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function dropping({ app, admin }) {
  const input = { way: 'wait', url: app, seconds: WAIT_SECONDS };
  const { longest: peer } = runProgram('health-load.js', { ...input, drop: false });
  await administer(
    admin,
    `SELECT make_log_month((now() - ago * interval '1 month')::date) FROM generate_series(3, ${OLD_MONTHS + 2}) AS ago;
     INSERT INTO logs (id, service, message, created_at)
     SELECT 'old-' || n, 'auth', 'An old line', now() - ago * interval '1 month' - n * interval '1 ms'
     FROM generate_series(3, ${OLD_MONTHS + 2}) AS ago, generate_series(1, ${OLD_LINES}) AS n`,
  );
  const { longest: ours, dropped } = runProgram('health-load.js', { ...input, drop: true });
  if (dropped < OLD_MONTHS) throw new Error(`Only ${dropped} of ${OLD_MONTHS} months were dropped`);
  return {
    what: `health, longest wait of a writer while ${OLD_MONTHS} months are dropped`,
    ours: `${ours.toFixed(0)} ms`,
    peer: `${peer.toFixed(0)} ms (without retention)`,
    ratio: (ours / peer).toFixed(2),
    budget: '≤ 100 ms more',
  };
}

async function administer(url, sql) {
  const { withClient } = require('@azora/db-fleet');
  const { parseDatabaseUrl } = require('@azora/db-core');
  await withClient(parseDatabaseUrl(url, 'the administrator'), async (client) => {
    for (const statement of sql.split(';')) await client.query(statement);
  });
}

/** The lines in COPY's text format, as the store would write them. */
function copyText() {
  const { newId } = require('@azora/db-core');
  const now = new Date().toISOString();
  const text = linesOf(LINES).map(({ level, service, message, userId, requestId, metadata }) =>
    [newId(), level, service, message, userId ?? '\\N', requestId ?? '\\N', JSON.stringify(metadata ?? {}), now].join(
      '\t',
    ),
  );
  return `${text.join('\n')}\n`;
}
