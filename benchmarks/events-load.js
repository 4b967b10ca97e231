// Run by events.bench.js as a process of its own, as pgbench is: `node events-load.js '{"way": "subscribe", …}'`. Prints JSON.
const { fork } = require('node:child_process');
const { randomUUID } = require('node:crypto');
const { once } = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');
const { parseDatabaseUrl, openPool, POOL_DEFAULTS } = require('@azora/db-core');
const { defineConsumer } = require('@azora/db-core/events');
const { openBus } = require('@azora/db-events');
const { middle, TICKS, ticksOf } = require('./measure.js');

const TYPE = 'nexus.counted.v1';
const PUBLISH = `SELECT publish_event('${TYPE}', $1, jsonb_build_object('n', $2::bigint), NULL)`;

const WAYS = {
  /** Events of a backlog that a relay appends to the log each second. */
  relay: async ({ url, count }) => {
    const pool = openPool(parseDatabaseUrl(url, 'url'), POOL_DEFAULTS);
    const bus = openBus({ url });
    const head = async () => Number((await pool.query('SELECT head FROM event_log')).rows[0].head);
    const first = await head();
    const ending = new AbortController();
    const started = performance.now();
    const relaying = bus.relay({ pool }, { service: 'nexus', signal: ending.signal });
    while ((await head()) < first + count) await sleep(5);
    const perSecond = (count * 1_000) / (performance.now() - started);
    ending.abort();
    await relaying;
    await bus.close();
    await pool.end();
    return { perSecond };
  },

  /** Events that a consumer handles and acknowledges each second, after a warm-up. */
  subscribe: async ({ url, count, warmUp, storePackage }) => {
    const bus = openBus({ url });
    const store = openStoreOf(storePackage, url);
    const ending = new AbortController();
    let [handled, started, ended] = [0, 0, 0];
    const consumer = defineConsumer({
      name: `bench.c${randomUUID()}`,
      types: [TYPE],
      handle: async () => {
        handled += 1;
        if (handled === warmUp) started = performance.now();
        // The first event of the next batch: the batch before was committed, as at the start.
        if (handled > warmUp + count && ended === 0) {
          ended = performance.now();
          ending.abort();
        }
      },
    });
    await bus.subscribe(store, consumer, { signal: ending.signal });
    await bus.close();
    await store.close();
    return { perSecond: (count * 1_000) / (ended - started) };
  },

  /** Jobs that pg-boss fetches and completes each second, after a warm-up. */
  pgBoss: async ({ url, count, warmUp, batch }) => {
    const PgBoss = require('pg-boss');
    const boss = new PgBoss({ connectionString: url, supervise: false, schedule: false });
    await boss.start();
    const queue = `bench-${randomUUID()}`;
    await boss.createQueue(queue);
    for (let made = 0; made < warmUp + count; made += batch)
      await boss.insert(Array.from({ length: batch }, (_, n) => ({ name: queue, data: { n } })));
    let done = 0;
    const drain = async (until) => {
      while (done < until) {
        const jobs = await boss.fetch(queue, { batchSize: batch });
        await boss.complete(
          queue,
          jobs.map(({ id }) => id),
        );
        done += jobs.length;
      }
    };
    await drain(warmUp);
    const started = performance.now();
    await drain(warmUp + count);
    const perSecond = (count * 1_000) / (performance.now() - started);
    await boss.stop({ graceful: false, wait: true });
    return { perSecond };
  },

  /**
   * The times from the commit of an event until the commit of its effect, in milliseconds, after a warm-up. Another process
   * publishes.
   */
  latency: async ({ url, perSecond, seconds, warmUpSeconds, storePackage }) => {
    const bus = openBus({ url });
    const store = openStoreOf(storePackage, url);
    const ending = new AbortController();
    const [committed, handled] = [new Map(), new Map()];
    let batch = [];
    // The effect is committed when the transaction of its batch is.
    const timed = {
      transaction: async (work) => {
        const result = await store.transaction((tx) => {
          batch = [];
          return work(tx);
        });
        for (const n of batch) handled.set(n, now());
        return result;
      },
    };
    const consumer = defineConsumer({
      name: `bench.c${randomUUID()}`,
      types: [TYPE],
      handle: async (_, { data }) => {
        batch.push(data.n);
      },
    });
    const running = [
      bus.relay(store, { service: 'nexus', signal: ending.signal }),
      bus.subscribe(timed, consumer, { signal: ending.signal, from: 'now' }),
    ];
    // A consumer that begins with the next event must have begun.
    const workers = 'SELECT FROM subscription_workers WHERE subscription = $1';
    const hasBegun = async () => (await store.pool.query(workers, [consumer.name])).rowCount > 0;
    while (!(await hasBegun())) await sleep(50);
    const load = JSON.stringify({ way: 'publish', url, perSecond, seconds: warmUpSeconds + seconds });
    // The result of this process is the only text on its standard output.
    const publisher = fork(__filename, [load], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    publisher.on('message', ([n, at]) => committed.set(n, at));
    const [code] = await once(publisher, 'exit');
    while (code === 0 && committed.size > handled.size) await sleep(10);
    ending.abort();
    await Promise.all(running);
    await bus.close();
    await store.close();
    if (code !== 0) throw new Error('the publisher failed');
    const measured = [...committed].filter(([n]) => n > warmUpSeconds * perSecond);
    const times = measured.map(([n, at]) => handled.get(n) - at).toSorted((one, other) => one - other);
    return { p50: middle(times), p95: times[Math.floor(times.length * 0.95)], published: times.length };
  },

  publish: async ({ url, perSecond, seconds }) => {
    const pool = openPool(parseDatabaseUrl(url, 'url'), { ...POOL_DEFAULTS, max: 8, connectTimeoutMs: 60_000 });
    const started = now();
    const sending = [];
    for (let n = 1; n <= perSecond * seconds; n += 1) {
      const early = started + (n * 1_000) / perSecond - now();
      if (early > 0) await sleep(early);
      sending.push(pool.query(PUBLISH, [`key-${n % 500}`, n]).then(() => process.send([n, now()])));
    }
    await Promise.all(sending);
    await pool.end();
    process.disconnect();
    return {};
  },

  /** The CPU time of the relays of idle outboxes, in this process and in the server, in seconds of a core for each second. */
  idle: async ({ urls, bus: busUrl, seconds }) => {
    const bus = openBus({ url: busUrl });
    const pools = urls.map((url) => openPool(parseDatabaseUrl(url, 'url'), POOL_DEFAULTS));
    const ending = new AbortController();
    const relays = pools.map((pool, index) => bus.relay({ pool }, { service: `idle${index}`, signal: ending.signal }));
    const isAsleep = async (pool) => (await pool.query('SELECT FROM outbox_relay WHERE asleep')).rowCount === 1;
    for (const pool of pools) while (!(await isAsleep(pool))) await sleep(50);
    // The first long wait of each has begun.
    await sleep(2_000);
    const before = await serverTicks(pools[0]);
    const own = process.cpuUsage();
    await sleep(seconds * 1_000);
    const { user, system } = process.cpuUsage(own);
    const after = await serverTicks(pools[0]);
    const ticks = [...after].reduce((sum, [pid, used]) => sum + used - (before.get(pid) ?? 0), 0);
    ending.abort();
    await Promise.all(relays);
    await bus.close();
    for (const pool of pools) await pool.end();
    return { process: (user + system) / 1e6 / seconds, server: ticks / TICKS / seconds };
  },
};

/** The CPU time of each session of the relays and of the log, in clock ticks. */
async function serverTicks(pool) {
  const { rows } = await pool.query("SELECT pid FROM pg_stat_activity WHERE datname LIKE 'bench\\_%'");
  return new Map(rows.map(({ pid }) => [pid, ticksOf(pid)]));
}

/** Milliseconds by one clock of all processes of the machine. */
function now() {
  return performance.timeOrigin + performance.now();
}

function openStoreOf(storePackage, url) {
  return require(storePackage).openNexus({ url, slowQueryMs: 60_000 });
}

const { way, ...load } = JSON.parse(process.argv[2]);
WAYS[way](load).then(
  (result) => console.log(JSON.stringify(result)),
  (error) => {
    console.error(error);
    process.exitCode = 1;
  },
);
