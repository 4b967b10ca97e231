/** @server none */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import { listenIn } from '../src/postgres/companion/address';
import { type Engine, openEngine } from '../src/postgres/companion/engine';
import { GATEWAY_LIMITS, type Gateway, type GatewayLimits, openGateway } from '../src/postgres/companion/gateway';

/** It would run for hours, and PGlite honors no limit of its time. */
const ENDLESS = 'SELECT count(*) FROM generate_series(1, 200000) a CROSS JOIN generate_series(1, 200000) b';
const NEVER = 3_600_000;

interface Given {
  readonly engine: Engine;
  readonly gateway: Gateway;
  readonly logged: readonly string[];
  readonly connect: () => Promise<Client>;
  /** Sends the endless statement, and waits until the database works on it. */
  readonly runEndless: (client: Client) => Promise<{ readonly answer: Promise<unknown> }>;
}

let template: string;
const companions: { readonly given: Given; readonly clients: readonly Client[]; readonly directory: string }[] = [];

beforeAll(async () => {
  template = await mkdtemp(path.join(os.tmpdir(), 'azora-engine-'));
  const engine = await openEngine({ directory: template, log: () => undefined });
  await engine.close();
});
afterEach(async () => {
  for (const { given, clients, directory } of companions.splice(0)) {
    await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
    await given.gateway.close();
    await rm(directory, { recursive: true, force: true });
  }
});
afterAll(() => rm(template, { recursive: true, force: true }));

/** A companion in this process that ends a statement only for the reason that the test gives. */
async function givenCompanion(limits: Partial<GatewayLimits>): Promise<Given> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'azora-engine-'));
  await cp(template, directory, { recursive: true });
  const logged: string[] = [];
  const log = (line: string) => logged.push(line);
  const opened = await openEngine({ directory, log });
  let onAsked = (_text: string) => {};
  const engine: Engine = {
    ...opened,
    ask: (messages, onData) => {
      onAsked(messages.toString('latin1'));
      return opened.ask(messages, onData);
    },
  };
  const never = { cancelMs: NEVER, goneMs: NEVER, blockingMs: NEVER, idleMs: NEVER };
  const gateway = openGateway(engine, log, { ...never, ...limits });
  const address = await listenIn(directory, gateway.server);
  const host = 'port' in address ? { host: '127.0.0.1', port: address.port } : { host: address.socketDirectory };
  const clients: Client[] = [];
  const connect = async () => {
    const client = new Client({ ...host, user: 'postgres', database: 'azora_rag' });
    // The end of the database ends idle connections too.
    client.on('error', () => undefined);
    clients.push(client);
    await client.connect();
    return client;
  };
  const runEndless = async (client: Client) => {
    const asked = new Promise<void>((resolve) => {
      onAsked = (text) => text.includes(ENDLESS) && resolve();
    });
    const answer = client.query(ENDLESS);
    answer.catch(() => undefined);
    await asked;
    return { answer };
  };
  const given = { engine, gateway, logged, connect, runEndless };
  companions.push({ given, clients, directory });
  return given;
}

/** A committed row, and a connection that waits in a transaction with another row. */
async function givenRows(connect: Given['connect']): Promise<void> {
  const writer = await connect();
  await writer.query('CREATE TABLE kept (id int)');
  await writer.query('INSERT INTO kept VALUES (1)');
  await writer.end();
}

const countOf = async (client: Client) => (await client.query('SELECT count(*)::int AS n FROM kept')).rows[0]?.n;
const endOf = (client: Client) => new Promise<unknown>((resolve) => client.once('error', resolve));

/** The parts of the driver's connection that its types leave out. */
interface Wire {
  readonly processID: number;
  readonly secretKey: number;
  readonly connection: { readonly stream: net.Socket };
}
const wireOf = (client: Client) => client as unknown as Wire;

/** Asks the server to cancel the client's statement, as psql does at Ctrl-C. */
function cancel(client: Client, secret = wireOf(client).secretKey): Promise<void> {
  const request = Buffer.alloc(16);
  for (const [index, value] of [16, 80877102, wireOf(client).processID, secret].entries())
    request.writeInt32BE(value, index * 4);
  return new Promise((resolve, reject) => {
    const socket = net.connect({ path: `${client.host}/.s.PGSQL.5432` }, () => socket.end(request));
    socket.on('close', () => resolve());
    socket.on('error', reject);
  });
}

describe('a statement that does not end', () => {
  it('is canceled: its client and the others see the end of the database, and every committed row stays', async () => {
    const { connect, engine, runEndless } = await givenCompanion({ cancelMs: 10 });
    await givenRows(connect);
    const [culprit, other] = [await connect(), await connect()];
    const ended = endOf(other);
    const { answer: running } = await runEndless(culprit);

    await cancel(culprit);

    await expect(running).rejects.toMatchObject({ code: '57014' });
    expect(await ended).toMatchObject({ code: '57P02' });
    expect(await countOf(await connect())).toBe(1);
    expect(engine.isRunning()).toBe(true);
  });

  it('is not canceled by the key of another session', async () => {
    const { connect, logged, runEndless } = await givenCompanion({ cancelMs: 0, blockingMs: 500 });
    const [culprit, other] = [await connect(), await connect()];
    const { answer: running } = await runEndless(culprit);

    await cancel(culprit, wireOf(other).secretKey);
    other.query('SELECT 1').catch(() => undefined);

    await expect(running).rejects.toMatchObject({ code: '57014' });
    expect(logged.filter((line) => line.startsWith('ending'))).toEqual([
      'ending the database: its statement kept other clients waiting',
    ]);
  });

  it('is ended when its client has gone', async () => {
    const { connect, logged, runEndless } = await givenCompanion({ goneMs: 10 });
    await givenRows(connect);
    const culprit = await connect();
    await runEndless(culprit);
    const waiting = countOf(await connect());
    waiting.catch(() => undefined);

    wireOf(culprit).connection.stream.destroy();

    await expect(waiting).rejects.toMatchObject({ code: '57P02' });
    expect(await countOf(await connect())).toBe(1);
    expect(logged).toContain('ending the database: the client of its statement has gone');
  });

  it('may run as long as nobody waits, and ends when it has kept others waiting', async () => {
    const { connect, runEndless } = await givenCompanion({ blockingMs: 100 });
    await givenRows(connect);
    const culprit = await connect();
    const { answer: running } = await runEndless(culprit);

    const waiting = countOf(await connect());

    await expect(waiting).rejects.toMatchObject({ code: '57P02' });
    await expect(running).rejects.toMatchObject({ code: '57014' });
    expect(await countOf(await connect())).toBe(1);
  });

  it('does not keep the companion from stopping', async () => {
    const { connect, gateway, engine, runEndless } = await givenCompanion({ goneMs: 10 });
    const culprit = await connect();
    const { answer: running } = await runEndless(culprit);

    await gateway.close();

    await expect(running).rejects.toMatchObject({ code: '57014' });
    expect(engine.isRunning()).toBe(false);
  });
});

describe('a transaction that the end of the database interrupts', () => {
  it('is rolled back', async () => {
    const { connect, engine, runEndless } = await givenCompanion({});
    await givenRows(connect);
    const writer = await connect();
    await writer.query('BEGIN');
    await writer.query('INSERT INTO kept SELECT generate_series(2, 1000)');
    const { answer: running } = await runEndless(writer);

    await engine.kill();

    await expect(running).rejects.toMatchObject({ code: '57014' });
    expect(await countOf(await connect())).toBe(1);
  });
});

describe('a companion without clients', () => {
  it('ends its database after a while, and starts it for the next client', async () => {
    const { connect, engine, logged } = await givenCompanion({ idleMs: 10 });
    await givenRows(connect);
    while (engine.isRunning()) await new Promise((resolve) => setTimeout(resolve, 20));

    expect(await countOf(await connect())).toBe(1);
    expect(logged).toContain('ending the database: no client for a while');
  });

  it('waits ten minutes', () => {
    expect(GATEWAY_LIMITS.idleMs).toBe(600_000);
  });
});
