/** @server any */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import { openFamily } from '../../../services/family/src';
import { openBus } from '../src';
import { openWakeUp } from '../src/wake-up';
import { COUNTED, freshKey, numbersByKey, until, upTo, useBus } from './bus-fixture';

/** As many sessions of each database as PgBouncer opens. */
const SESSIONS = 3;
const hasPooler = spawnSync('pgbouncer', ['--version']).status === 0;
const isRoot = process.getuid?.() === 0;

(hasPooler ? describe : describe.skip)('behind PgBouncer in transaction mode (skipped without the program)', () => {
  const bus = useBus();
  const directory = mkdtempSync(path.join(os.tmpdir(), 'azora-pgbouncer-'));
  let pooler: ChildProcess | undefined;
  let port = 0;
  const pooled = (url: string) => {
    const parts = new URL(url);
    parts.port = String(port);
    return parts.href;
  };

  beforeAll(async () => {
    port = await freePort();
    const servers = [bus.source(), bus.target(), bus.nexus()].map(({ url }) => new URL(url));
    const [server] = servers;
    const users = servers.map((url) => `"${url.username}" "${decodeURIComponent(url.password)}"\n`);
    writeFileSync(path.join(directory, 'users.txt'), [...new Set(users)].join(''));
    writeFileSync(
      path.join(directory, 'pgbouncer.ini'),
      `[databases]
* = host=${server?.hostname} port=${server?.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${directory}/users.txt
pool_mode = transaction
default_pool_size = ${SESSIONS}
`,
    );
    if (isRoot) giveToNobody(directory);
    const user = isRoot ? ['-u', 'nobody'] : [];
    pooler = spawn('pgbouncer', ['-q', ...user, path.join(directory, 'pgbouncer.ini')], { stdio: 'ignore' });
    await until(() => answers(port));
  });
  afterAll(async () => {
    if (pooler?.exitCode === null) {
      const ended = once(pooler, 'exit');
      pooler.kill('SIGKILL');
      await ended;
    }
    rmSync(directory, { recursive: true });
  });

  it('relays and handles events by polling, and leaves nothing in the sessions of the pooler', async () => {
    const key = freshKey();
    const ending = new AbortController();
    const { signal } = ending;
    const [source, target] = [bus.source(), bus.target()].map(({ url }) => openFamily({ url: pooled(url) }));
    if (source === undefined || target === undefined) throw new Error('Two stores were opened');
    const pooledBus = openBus({ url: pooled(bus.nexus().url), logger: bus.log.logger, pollMs: 50 });
    const running = [
      pooledBus.relay(source, { service: 'family', signal }),
      pooledBus.subscribe(target, bus.recorder(), { signal }),
    ];
    for (let n = 0; n < 3; n += 1) await bus.publish(key);
    // A backlog is read in a transaction of several statements.
    const many = `SELECT publish_event('${COUNTED}', $1, jsonb_build_object('n', n), NULL) FROM generate_series(4, 700) AS n`;
    await bus.source().app(many, [key]);

    expect(numbersByKey(await bus.effects(700))[key]).toEqual(upTo(700));
    for (const { url } of [bus.source(), bus.nexus()]) expect(await leftIn(pooled(url))).toEqual([]);
    ending.abort();
    await Promise.all(running);
    await Promise.all([pooledBus.close(), source.close(), target.close()]);
    expect(bus.log.entries).toEqual([]);
  });

  it('does not listen', async () => {
    const wakeUp = openWakeUp({ connectionString: pooled(bus.nexus().url) }, 'events');
    const direct = openWakeUp({ connectionString: bus.nexus().url }, 'events');
    await until(() => direct.isListening());

    // `close` waits for the attempt, which sees the pooler and ends by itself.
    await wakeUp.close();

    expect(await leftIn(pooled(bus.nexus().url))).toEqual([]);
    await direct.close();
  });
});

/** What every session of the pooler listens to, and the advisory locks that it holds. */
async function leftIn(url: string): Promise<readonly unknown[]> {
  const clients = Array.from({ length: SESSIONS }, () => new Client({ connectionString: url }));
  const found: unknown[] = [];
  for (const client of clients) {
    await client.connect();
    // An open transaction keeps its session from the others.
    await client.query('BEGIN');
    const { rows } = await client.query(`SELECT pg_listening_channels() AS left UNION ALL
      SELECT 'advisory lock' FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()`);
    found.push(...rows);
  }
  for (const client of clients) await client.end();
  return found;
}

/** PgBouncer refuses to run as root. */
function giveToNobody(directory: string): void {
  const NOBODY = 65_534;
  chmodSync(directory, 0o755);
  for (const file of ['', 'users.txt', 'pgbouncer.ini']) chownSync(path.join(directory, file), NOBODY, NOBODY);
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.end());
  });
}
