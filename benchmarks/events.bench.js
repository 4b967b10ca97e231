// The event bus: how fast events reach the log and their consumers, against pg-boss on the same server and against pgbench with the
// same SQL; how soon an event is handled; and what relays of idle outboxes cost. One database publishes, keeps the log and consumes.
const { spawnSync } = require('node:child_process');
const { randomUUID } = require('node:crypto');
const { existsSync, mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { rateRow, runProgram, takeTurns, withDatabase } = require('./measure.js');
const { findPgbench } = require('./pgbench.js');
const { withServiceDatabase } = require('./service-database.js');

const BATCH = 500;
const WARM_UP = 20 * BATCH;
const COUNT = 60 * BATCH;
/** A consumer stops in the batch after those that it measures. */
const PUBLISHED = WARM_UP + COUNT + 2 * BATCH;
/** pg-boss is slower: it measures as long with fewer jobs. */
const JOBS = 20 * BATCH;
const RELAYS = 14;
const TYPE = 'nexus.counted.v1';

/** Events of 500 keys, in transactions of 100 events. */
const PUBLISH_MANY = `
  CREATE PROCEDURE publish_many(p_count integer) LANGUAGE plpgsql AS $$
  BEGIN
    FOR done IN 1..p_count / 100 LOOP
      PERFORM publish_event('${TYPE}', 'key-' || (done * 100 + n) % 500, jsonb_build_object('n', done * 100 + n), NULL)
      FROM generate_series(1, 100) AS n;
      COMMIT;
    END LOOP;
  END
  $$`;

exports.run = (context) =>
  withServiceDatabase(context, 'nexus', (urls) => measure(urls, { ...context, server: context.url }));

async function* measure({ app, admin }, { root, runs, server }) {
  const { withClient } = require('@azora/db-fleet');
  const { parseDatabaseUrl } = require('@azora/db-core');
  const run = (sql) => withClient(parseDatabaseUrl(admin, 'the administrator'), (client) => client.query(sql));
  const storePackage = path.join(root, 'services', 'nexus');
  await run(PUBLISH_MANY);
  const rateOf = (load) => runProgram('events-load.js', load).perSecond;

  const { relay } = await takeTurns(runs, { relay: () => rateOf({ way: 'relay', url: app, count: PUBLISHED }) }, () =>
    run(`CALL publish_many(${PUBLISHED})`),
  );
  yield budgetRow('events relayed from an outbox into the log', relay, 10_000);

  await run('VACUUM (ANALYZE)');
  const rates = await takeTurns(runs, {
    ours: () => rateOf({ way: 'subscribe', url: app, count: COUNT, warmUp: WARM_UP, storePackage }),
    pgBoss: () => rateOf({ way: 'pgBoss', url: admin, count: JOBS, warmUp: 2 * BATCH, batch: BATCH }),
    pgbench: () => acknowledgeByPgbench(app),
  });
  const what = `events handled and acknowledged in batches of ${BATCH}`;
  yield budgetRow(what, rates.ours, 10_000);
  yield rateRow(what, rates.ours, rates.pgBoss, 'pg-boss 10.4.2, fetch and complete', '≥ 3');
  yield rateRow(what, rates.ours, rates.pgbench, 'pgbench, the same SQL', '≥ 0.5');

  // The load before must not be written to disk meanwhile.
  await run('CHECKPOINT');
  const { p50, p95 } = runProgram('events-load.js', {
    way: 'latency',
    url: app,
    perSecond: 1_000,
    seconds: 10,
    warmUpSeconds: 3,
    storePackage,
  });
  yield {
    what: 'commit of an event until commit of its effect, 1,000 events/s',
    ours: `median ${p50.toFixed(0)} ms, p95 ${p95.toFixed(0)} ms`,
    peer: '',
    ratio: '',
    budget: 'p95 ≤ 50 ms',
  };
  yield* await idleRelays({ server, app, admin });
}

function budgetRow(what, perSecond, least) {
  const rate = (value) => `${Math.round(value).toLocaleString('en')}/s`;
  return { what, ours: rate(perSecond), peer: '', ratio: '', budget: `≥ ${rate(least)}` };
}

/** One client that fetches, records in the inbox and acknowledges as a consumer does. It does not even read the payloads. */
function acknowledgeByPgbench(url) {
  const [consumer, worker] = [`bench.p${randomUUID()}`, randomUUID()];
  const fetched = `SELECT array_agg(event_id) FILTER (WHERE kind = 'event') AS ids,
    array_agg(lane) FILTER (WHERE kind = 'lane') AS lanes, array_agg(position) FILTER (WHERE kind = 'lane') AS positions,
    sum(length(payload)) AS bytes FROM fetch_events('${consumer}', '${worker}', ${BATCH})`;
  const script = `${fetched.replaceAll('\n', ' ')} \\gset
BEGIN;
INSERT INTO inbox (consumer, event_id) SELECT '${consumer}', id FROM unnest(:ids::uuid[]) AS id ORDER BY id;
COMMIT;
SELECT acknowledge_events('${consumer}', '${worker}', '1 hour', :lanes::smallint[], array_fill(1::bigint,
  ARRAY[cardinality(:lanes::smallint[])]), :positions::bigint[], '{}', '{}', '{}', '{}');
`;
  const join = `SELECT join_subscription('${consumer}', ARRAY['${TYPE}'], 10, 'start');
SELECT lease_lanes('${consumer}', '${worker}', ARRAY['${TYPE}'], '1 hour', true);
`;
  const folder = mkdtempSync(path.join(os.tmpdir(), 'azora-bench-events-'));
  const pgbench = (name, text, transactions) => {
    const file = path.join(folder, name);
    writeFileSync(file, text);
    const args = ['-M', 'prepared', '-n', '-c', '1', '-t', String(transactions), '-f', file, url];
    const { status, stdout, stderr } = spawnSync(findPgbench(), args, { encoding: 'utf8' });
    const [, tps] = /^tps = ([\d.]+)/m.exec(stdout) ?? [];
    if (status !== 0 || tps === undefined) throw new Error(`pgbench failed: ${stderr}`);
    return Number(tps);
  };
  try {
    pgbench('join.sql', join, 1);
    pgbench('warm-up.sql', script, WARM_UP / BATCH);
    return pgbench('consume.sql', script, COUNT / BATCH) * BATCH;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Relays of as many idle databases as the fleet has, in one process. */
async function* idleRelays({ server, app, admin }) {
  const { dropDatabase, withClient } = require('@azora/db-fleet');
  const { parseDatabaseUrl } = require('@azora/db-core');
  const template = new URL(admin).pathname.slice(1);
  const names = Array.from({ length: RELAYS }, (_, index) => `bench_idle_${index}`);
  const onServer = (work) => withClient(parseDatabaseUrl(server, 'the server'), work);
  try {
    await onServer(async (client) => {
      for (const name of names) {
        await dropDatabase(client, name);
        await client.query(`CREATE DATABASE "${name}" TEMPLATE "${template}"`);
      }
    });
    const urls = names.map((name) => withDatabase(admin, name));
    if (!existsSync('/proc/self/stat')) {
      console.log('Skipped the CPU of idle relays: this system has no /proc.');
      return;
    }
    const used = runProgram('events-load.js', { way: 'idle', urls, bus: app, seconds: 30 });
    const percent = (share) => `${(share * 100).toFixed(2)} %`;
    yield {
      what: `CPU of ${RELAYS} relays of idle outboxes`,
      ours: `${percent(used.process + used.server)} of a core (process ${percent(used.process)}, server ${percent(used.server)})`,
      peer: '',
      ratio: '',
      budget: '≤ 1 %',
    };
  } finally {
    await onServer(async (client) => {
      for (const name of names) await dropDatabase(client, name);
    });
  }
}
