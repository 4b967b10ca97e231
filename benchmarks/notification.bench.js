// notifyMany against psql's COPY of the same rows, and the unread count against a count of the rows. The counters must be right
// after each comparison. Then notify against an interactive transaction of Prisma; the triggers count for both. AZORA_BENCH_NOTIFICATIONS sets the number of rows of the unread count, such as 20000000.
const { createHash, randomUUID } = require('node:crypto');
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { besidePrisma, inTransaction } = require('./beside-prisma.js');
const { middle, rateRow, seconds, takeTurns } = require('./measure.js');
const { withServiceDatabase } = require('./service-database.js');

const RECIPIENTS = 100_000;
const ROWS = Number(process.env.AZORA_BENCH_NOTIFICATIONS ?? 1_000_000);
/** Each user has as many notifications: one half is unread, and a mark has read the other one. */
const PER_USER = 200;
const BLOCK_ROWS = 1_000_000;
const COUNTS = 2_000;
const RECONCILE_MS = 3_600_000;

const TITLE = 'A course begins';
const MESSAGE = 'The course that you have chosen begins on Monday at nine. Everything that you need is on its page.';
const COLUMNS = 'id, user_id, type, title, message, source, action_url, metadata, in_app, created_at, updated_at';
const USERS = Array.from({ length: RECIPIENTS }, (_, number) => `c${String(number * 7919).padStart(24, '0')}`);

exports.run = ({ runs, seconds: callSeconds = 3, ...context }) =>
  withServiceDatabase(context, 'notification', async function* measure(urls) {
    const { openNotifications } = require('@azora/notification');
    const store = openNotifications({
      url: urls.app,
      pool: { statementTimeoutMs: RECONCILE_MS },
      slowQueryMs: RECONCILE_MS,
    });
    try {
      yield* await broadcasts({ store, urls, runs });
      yield* notifyRows({ store, urls, runs, seconds: callSeconds });
      yield* await unreadCounts({ store, urls });
    } finally {
      await store.close();
    }
  });

async function broadcasts({ store, urls, runs }) {
  const { notifyMany } = require('@azora/notification');
  const folder = mkdtempSync(path.join(os.tmpdir(), 'azora-bench-copy-'));
  const psql = (...commands) =>
    seconds('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', urls.admin, ...commands.flatMap((it) => ['-c', it])]);
  // The same columns, constraints and indexes, without the triggers that count.
  psql('CREATE TABLE uncounted (LIKE notifications INCLUDING ALL)');
  let turn = 0;
  const copyInto = (table) => () => {
    turn += 1;
    const file = path.join(folder, 'rows.copy');
    const at = new Date().toISOString();
    const line = (user, number) =>
      `c${String(turn).padStart(15, 'r')}${String(number).padStart(9, '0')}\t${user}\tinfo\t${TITLE}\t${MESSAGE}\teducation\t/courses\t{}\tt\t${at}\t${at}\n`;
    writeFileSync(file, USERS.map(line).join(''));
    return RECIPIENTS / psql(`\\copy ${table} (${COLUMNS}) FROM '${file}'`);
  };
  const ours = async () => {
    turn += 1;
    const started = process.hrtime.bigint();
    await notifyMany(store, {
      recipients: USERS,
      title: TITLE,
      message: MESSAGE,
      source: 'education',
      actionUrl: '/courses',
      idempotencyKey: `broadcast-${turn}`,
    });
    return (RECIPIENTS * 1e9) / Number(process.hrtime.bigint() - started);
  };
  const tidy = () => psql('VACUUM (ANALYZE) notifications, recipients, uncounted', 'CHECKPOINT');
  try {
    const rates = await takeTurns(runs, { ours, copy: copyInto('notifications'), bare: copyInto('uncounted') }, tidy);
    await assertCounted(store);
    const what = `notifyMany, ${RECIPIENTS.toLocaleString('en')} recipients`;
    return [
      rateRow(what, rates.ours, rates.copy, 'psql COPY of the same rows', '≥ 0.6'),
      rateRow(what, rates.ours, rates.bare, 'psql COPY into a table without counters', ''),
    ];
  } finally {
    psql('DROP TABLE uncounted', 'TRUNCATE notifications, recipients, bulk_reads, batches, deliveries');
    rmSync(folder, { recursive: true });
  }
}

async function unreadCounts({ store, urls }) {
  const { unreadCount } = require('@azora/notification');
  const { withClient } = require('@azora/db-fleet');
  const { parseDatabaseUrl } = require('@azora/db-core');
  const users = Math.ceil(ROWS / PER_USER);
  await withClient(parseDatabaseUrl(urls.admin, 'the administrator'), async (client) => {
    await client.query('SET synchronous_commit = off');
    const insert = (from, to, half) =>
      client.query(
        `INSERT INTO notifications (id, user_id, title, message, created_at, updated_at)
         SELECT 'n' || $3::int || '-' || u || '-' || n, 'u' || u, 'News', 'A message of some length, as they are.',
           now() - n * interval '1 hour', now()
         FROM generate_series($1::int, $2::int - 1) AS u, generate_series(1, ${PER_USER / 2}) AS n`,
        [from, to, half],
      );
    for (let from = 0; from < users; from += BLOCK_ROWS / PER_USER) {
      const to = Math.min(from + BLOCK_ROWS / PER_USER, users);
      await insert(from, to, 1);
      await client.query(`SELECT mark_all_read('u' || u) FROM generate_series($1::int, $2::int - 1) AS u`, [from, to]);
      await insert(from, to, 2);
    }
    await client.query('VACUUM (ANALYZE) notifications, recipients');
  });
  const count = () => unreadCount(store, { userId: `u${Math.floor(Math.random() * users)}` });
  const recount = async () => {
    const { rows } = await store.pool.query(
      `SELECT count(*) FROM notifications AS n JOIN recipients AS r USING (user_id)
       WHERE user_id = $1 AND NOT is_read AND position > read_through AND deleted_at IS NULL`,
      [`u${Math.floor(Math.random() * users)}`],
    );
    return rows;
  };
  for (let n = 0; n < COUNTS / 10; n += 1) await count();
  const [ours, peer] = [await percentile(count), await percentile(recount)];
  const floor = await percentile(() => store.query({ text: 'SELECT 1', values: [] }));
  await assertCounted(store);
  return [
    {
      what: `unread count of ${PER_USER / 2}, ${(users * PER_USER).toLocaleString('en')} rows, median and p95`,
      ours: `${middle(ours.all).toFixed(2)} and ${ours.p95.toFixed(2)} ms`,
      peer: `${middle(peer.all).toFixed(2)} and ${peer.p95.toFixed(2)} ms (count(*) by the partial index); SELECT 1: ${floor.p95.toFixed(2)} ms`,
      ratio: (ours.p95 / peer.p95).toFixed(2),
      budget: 'p95 ≤ 2 ms',
    },
  ];
}

async function percentile(work) {
  const all = [];
  for (let n = 0; n < COUNTS; n += 1) {
    const started = process.hrtime.bigint();
    await work();
    all.push(Number(process.hrtime.bigint() - started) / 1e6);
  }
  const sorted = all.toSorted((one, other) => one - other);
  return { all, p95: sorted[Math.floor(COUNTS * 0.95)] };
}

async function* notifyRows({ store, urls, runs, seconds: callSeconds }) {
  const { notify, openNotifications } = require('@azora/notification');
  const administrator = openNotifications({ url: urls.admin });
  let sent = 0;
  const next = () => {
    sent += 1;
    const content = { title: TITLE, message: MESSAGE, source: 'education', actionUrl: '/courses' };
    return { userId: USERS[sent % USERS.length], ...content, idempotencyKey: randomUUID() };
  };
  try {
    yield* besidePrisma({
      what: 'notify',
      ours: () => notify(store, next()),
      prisma: () => notifyByPrisma(administrator, next()),
      ...{ runs, seconds: callSeconds, budget: '≥ 1.5', verify: () => assertCounted(store) },
    });
    await administrator.pool.query('TRUNCATE notifications, recipients, bulk_reads, batches, deliveries');
  } finally {
    await administrator.close();
  }
}

/** As most users of Prisma would write it. */
function notifyByPrisma({ prisma }, input) {
  return inTransaction(prisma, async (tx) => {
    const { userId, idempotencyKey, source } = input;
    const earlier = await tx.notification.findFirst({ where: { userId, idempotencyKey } });
    if (earlier !== null) return earlier;
    const where = { userId, channel: 'in_app', source: { in: [source, '*'] } };
    const preferences = await tx.preference.findMany({ where });
    const own = preferences.find((it) => it.source === source) ?? preferences[0];
    const bodyHash = createHash('sha256').update(JSON.stringify(input)).digest('hex');
    const data = { id: randomUUID(), ...input, type: 'info', inApp: own?.mode !== 'off', bodyHash };
    const made = await tx.notification.create({ data });
    const payload = { notificationId: made.id, userId, notificationType: 'info' };
    await tx.$queryRaw`SELECT publish_event('notification.notification-sent.v1', ${userId}, ${payload}::jsonb, NULL)::text`;
    return made;
  });
}

/** @throws {Error} when a counter differs from the recount. */
async function assertCounted(store) {
  const { reconcile } = require('@azora/notification');
  const differences = await reconcile(store);
  if (differences.length > 0) throw new Error(`reconcile: ${JSON.stringify(differences.slice(0, 10), null, 2)}`);
}
