// Measures the studio of all services: the time from its start to its first page, compared with Prisma's studio of one
// database; its memory after every database was opened; and the first page of a table of two million rows.
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const { readdirSync, readFileSync } = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { Client } = require('pg');
const { row, seconds, takeTurns, withDatabase } = require('./measure.js');

const PREFIX = 'benchs_';
const ROWS = 2_000_000;
const PAGE_ROWS = 25;
const TABLE = '"public"."logs"';
const COLUMNS = ['id', 'created_at', 'level', 'updated_at', 'workflow_id'].map((column) => `"${column}"`).join(', ');
const FIRST_PAGE = `SELECT ${COLUMNS} FROM ${TABLE} ORDER BY "id" LIMIT ${PAGE_ROWS}`;
const REQUESTS = 50;

exports.run = async ({ root, home, url, runs, hasVector }) => {
  const bin = path.join(root, 'packages', 'fleet', 'bin', 'azora-db.js');
  const env = { ...process.env, DATABASE_URL: url, AZORA_HOME: home, AZORA_DB_PREFIX: PREFIX };
  const names = readdirSync(path.join(root, 'services')).filter((name) => hasVector || name !== 'rag');
  const azora = (...args) => [process.execPath, [bin, ...args, '--service', names.join(',')], { cwd: root, env }];
  seconds(...azora('setup', '--no-build'));
  const { services } = JSON.parse(spawnSync(...azora('status', '--json')).stdout);
  const large = withDatabase(url, services.find(({ service }) => service === 'workflow').database);
  await fill(large);

  const prisma = path.join(root, 'node_modules', 'prisma', 'build', 'index.js');
  const times = await takeTurns(runs, {
    ours: () => timeTo(() => startOurs(azora)),
    peer: () => timeTo(() => startPrisma(prisma, large, path.join(root, 'services', 'workflow'))),
  });
  const rows = [
    row(
      `studio of ${services.length} databases, start to first page`,
      times.ours,
      times.peer,
      "Prisma's studio, one database",
      '≤ 1.5 s',
    ),
  ];

  const studio = await startOurs(azora);
  try {
    for (const { service } of services) await studio.query(service, 'SELECT relname FROM pg_catalog.pg_class');
    rows.push(...(await firstPage(studio, large)));
    const memory = peakMib(studio.pid);
    if (memory !== undefined)
      rows.push({
        what: `studio, all ${services.length} databases opened`,
        ours: `${memory} MiB`,
        peer: '',
        ratio: '',
        budget: '≤ 250 MiB',
      });
  } finally {
    await studio.stop();
  }
  return rows;
};

async function fill(url) {
  await withSession(url, async (client) => {
    await client.query(`TRUNCATE workflows RESTART IDENTITY CASCADE`);
    await client.query(`INSERT INTO workflows (name, owner_id) VALUES ('bench', 'bench')`);
    await client.query(
      `INSERT INTO logs (workflow_id, message) SELECT 1, 'run ' || n FROM generate_series(1, ${ROWS}) AS n`,
    );
    await client.query('VACUUM ANALYZE logs');
  });
}

/** Requests the page, its script and the state of the fleet, as a browser does. */
async function startOurs(azora) {
  const [program, args, options] = azora('studio', '--no-open', '--port', '0');
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const address = new URL(await printed(child, /http:\/\/\S+/));
  const entered = await fetch(address, { redirect: 'manual' });
  const cookies = entered.headers.getSetCookie().map((cookie) => cookie.split(';')[0]);
  const page = await fetch(address.origin, { headers: { cookie: cookies.join('; ') } });
  const [, key] = /name="studio-key" content="([^"]+)"/.exec(await page.text());
  const headers = { cookie: cookies[0], 'x-studio-key': key, origin: address.origin };
  const get = async (place) => {
    const answer = await fetch(new URL(place, address), { headers });
    if (!answer.ok) throw new Error(`${place} answered with status ${answer.status}`);
    return answer.arrayBuffer();
  };
  await get('/');
  await Promise.all([get('/assets/page.js'), get('/api/fleet')]);
  const query = async (service, sql) => {
    const body = JSON.stringify({ procedure: 'query', query: { sql, parameters: [] } });
    const answer = await fetch(new URL(`/api/services/${service}/query`, address), {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body,
    });
    const [error, rows] = await answer.json();
    if (error !== null) throw new Error(`${service}: ${error.message}`);
    return rows;
  };
  return { query, pid: child.pid, stop: () => stop(child) };
}

async function startPrisma(program, url, directory) {
  const port = await freePort();
  const args = [program, 'studio', '--browser', 'none', '--port', String(port), '--url', url];
  // In a process group of its own, because it starts Prisma's command line as another process.
  const child = spawn(process.execPath, args, {
    cwd: directory,
    detached: true,
    stdio: 'ignore',
    env: { ...process.env, BROWSER: 'none' },
  });
  while (child.exitCode === null) {
    const answer = await fetch(`http://localhost:${port}/`).catch(() => undefined);
    if (answer?.ok) {
      await answer.text();
      return { stop: () => stop(child, () => process.kill(-child.pid, 'SIGTERM')) };
    }
    await sleep(10);
  }
  throw new Error(`Prisma's studio exited with code ${child.exitCode}`);
}

async function timeTo(start) {
  const started = process.hrtime.bigint();
  const { stop: end } = await start();
  const taken = Number(process.hrtime.bigint() - started) / 1e9;
  await end();
  return taken;
}

/** The rows and their count: over HTTP as the page requests them, compared with the same SQL in an open session. */
async function firstPage(studio, url) {
  const estimate = `SELECT CASE WHEN reltuples >= 50000 THEN reltuples::bigint::text END AS count
    FROM pg_catalog.pg_class WHERE oid = '${TABLE}'::regclass`;
  const asked = `WITH counted AS (${estimate}) SELECT counted.count, page.* FROM counted, (${FIRST_PAGE}) AS page`;
  const counted = `WITH counted AS (SELECT count(*) AS count FROM ${TABLE}) SELECT counted.count, page.* FROM counted, (${FIRST_PAGE}) AS page`;
  return withSession(url, async (client) => {
    const times = await takeTurns(REQUESTS, {
      ours: () => timed(() => studio.query('workflow', asked)),
      bare: () => timed(() => client.query(counted)),
      estimated: () => timed(() => client.query(asked)),
    });
    const what = `first page of ${ROWS.toLocaleString('en')} rows, over HTTP`;
    return [
      milliseconds(what, times.ours, times.bare, 'SQL with count(*), open session', '≤ 1.5'),
      milliseconds(what, times.ours, times.estimated, 'same SQL with the estimate, open session', ''),
    ];
  });
}

async function timed(work) {
  const started = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - started) / 1e9;
}

function milliseconds(what, ours, peer, name, budget) {
  const show = (value) => `${(value * 1000).toFixed(1)} ms`;
  return { what, ours: show(ours), peer: `${show(peer)} (${name})`, ratio: (ours / peer).toFixed(2), budget };
}

async function withSession(url, work) {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Waits until the output matches, and returns the match. */
function printed(child, text) {
  let output = '';
  return new Promise((resolve, reject) => {
    const listen = (chunk) => {
      output += chunk;
      const [found] = text.exec(output) ?? [];
      if (found !== undefined) resolve(found);
    };
    child.stdout.on('data', listen);
    child.stderr.on('data', listen);
    child.once('close', () => reject(new Error(output)));
  });
}

async function stop(child, end = () => child.kill('SIGINT')) {
  if (child.exitCode !== null) return;
  end();
  await once(child, 'close');
}

async function freePort() {
  const server = net.createServer().listen(0, 'localhost');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** The peak memory of a process; undefined where the system does not report it. */
function peakMib(pid) {
  try {
    const [, kib] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return kib === undefined ? undefined : Math.round(Number(kib) / 1024);
  } catch {
    return undefined;
  }
}
