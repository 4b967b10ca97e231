/** @server none */
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FaultProxy, openFaultProxy } from '../src/faults';

describe('a fault proxy', () => {
  /** The server side of each connection, in the order in which they were opened. */
  const accepted: net.Socket[] = [];
  const listener = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    accepted.push(socket);
    listener.emit('accepted');
  });
  let proxy: FaultProxy;

  beforeAll(async () => {
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
  });
  beforeEach(async () => {
    accepted.length = 0;
    proxy = await openFaultProxy({ host: '127.0.0.1', port: (listener.address() as net.AddressInfo).port });
  });
  afterEach(async () => {
    await proxy.close();
    for (const socket of accepted) socket.destroy();
  });
  afterAll(() => new Promise((resolve) => void listener.close(resolve)));

  /** Both ends of a new connection through the proxy. */
  async function connected(): Promise<{ client: net.Socket; server: net.Socket }> {
    const before = accepted.length;
    const client = net.connect({ host: proxy.host, port: proxy.port, allowHalfOpen: true });
    client.on('error', () => undefined);
    while (accepted[before] === undefined) await once(listener, 'accepted');
    return { client, server: accepted[before] };
  }

  /** Reads until the given number of bytes has arrived, or until the end without a number. */
  async function readFrom(socket: net.Socket, bytes = Number.POSITIVE_INFINITY): Promise<Buffer> {
    const chunks: Buffer[] = [];
    const size = () => chunks.reduce((sum, { length }) => sum + length, 0);
    return new Promise((resolve) => {
      const finish = () => resolve(Buffer.concat(chunks));
      socket.on('data', (chunk) => {
        chunks.push(chunk);
        if (size() >= bytes) finish();
      });
      socket.on('end', finish);
      socket.on('close', finish);
    });
  }

  /** `once` would reject when the connection is reset. */
  function closed(socket: net.Socket): Promise<void> {
    return new Promise((resolve) => void socket.on('close', () => resolve()));
  }

  async function measure(work: () => Promise<unknown>): Promise<number> {
    const started = performance.now();
    await work();
    return performance.now() - started;
  }

  it('passes bytes and the end of each direction on, without a fault', async () => {
    const { client, server } = await connected();

    client.end('question');
    expect(String(await readFrom(server))).toBe('question');
    server.end('answer');

    expect(String(await readFrom(client))).toBe('answer');
  });

  it('replaces the address in a URL, also where it is a parameter', () => {
    const address = `127.0.0.1:${proxy.port}`;

    expect(proxy.through('postgresql://ada:secret@db.example:5432/mint')).toBe(
      `postgresql://ada:secret@${address}/mint`,
    );
    expect(proxy.through('postgresql://ada@localhost/mint?host=/tmp&port=5433')).toBe(
      `postgresql://ada@${address}/mint`,
    );
    expect(proxy.through('nats://broker.example:4222')).toBe(`nats://${address}`);
  });

  it('delays one direction, and keeps the order of the bytes under jitter', async () => {
    const { client, server } = await connected();
    const numbers = Array.from({ length: 100 }, (_, number) => `${number} `);
    proxy.set('upstream', { latencyMs: 60, jitterMs: 40 });
    client.setNoDelay(true);

    const received = readFrom(server, numbers.join('').length);
    const took = await measure(async () => {
      for (const number of numbers) {
        client.write(number);
        await sleep(0);
      }
      expect(String(await received)).toBe(numbers.join(''));
    });

    expect(took).toBeGreaterThanOrEqual(20);
    server.write('x');
    expect(String(await readFrom(client, 1))).toBe('x');
  });

  it('limits the bandwidth', async () => {
    const { client, server } = await connected();
    proxy.set('downstream', { bytesPerSecond: 500_000 });

    const took = await measure(async () => {
      server.write(Buffer.alloc(100_000));
      expect(await readFrom(client, 100_000)).toHaveLength(100_000);
    });

    // The first portion passes at once.
    expect(took).toBeGreaterThanOrEqual(175);
  });

  it('delays the end of a connection and not its bytes', async () => {
    const { client, server } = await connected();
    proxy.set('upstream', { slowCloseMs: 150 });
    const ended = once(server, 'end');

    const took = await measure(async () => {
      client.end('last');
      expect(String(await readFrom(server, 4))).toBe('last');
      expect(server.readableEnded).toBe(false);
      await ended;
    });

    expect(took).toBeGreaterThanOrEqual(150);
  });

  it('stalls one direction and keeps the connection, its bytes and its end for later', async () => {
    const { client, server } = await connected();
    proxy.set('upstream', { stalls: true });
    let arrived = '';
    server.on('data', (chunk) => {
      arrived += String(chunk);
    });

    client.end('held');
    // These bytes are sent later and arrive earlier.
    server.write('passed');
    expect(String(await readFrom(client, 6))).toBe('passed');
    expect({ arrived, isOpen: !server.readableEnded }).toEqual({ arrived: '', isOpen: true });
    proxy.set('upstream', {});
    await once(server, 'end');

    expect(arrived).toBe('held');
  });

  it('hides a killed client from the server while it stalls', async () => {
    const { client, server } = await connected();
    proxy.set('upstream', { stalls: true });
    const noticed = closed(server);
    const killed = closed(client);
    client.resetAndDestroy();
    await killed;

    // A whole round trip of another connection is over, and the first one is still open.
    const other = await connected();
    other.server.write('x');
    await readFrom(other.client, 1);
    expect(server.destroyed).toBe(false);

    proxy.set('upstream', {});
    await noticed;
  });

  it('resets the open connections and serves new ones', async () => {
    const first = await connected();
    const ended = [closed(first.client), closed(first.server)];
    const error = new Promise((resolve) => first.client.on('error', resolve));

    expect(proxy.reset()).toBe(1);

    expect(await error).toMatchObject({ code: 'ECONNRESET' });
    await Promise.all(ended);
    const { client, server } = await connected();
    server.end('new');
    expect(String(await readFrom(client))).toBe('new');
  });

  it('closes a connection after a number of bytes since the fault was set', async () => {
    const { client, server } = await connected();
    server.resume().on('end', () => server.end());
    const received = readFrom(client);
    server.write(Buffer.alloc(1_000));
    while (client.bytesRead < 1_000) await sleep(5);
    proxy.set('downstream', { limitBytes: 1_500 });
    server.write(Buffer.alloc(1_000));
    server.write(Buffer.alloc(1_000));

    await closed(server);
    expect(await received).toHaveLength(2_500);
    expect(proxy.cuts()).toBe(1);
  });

  it('is down until it is up', async () => {
    const { client } = await connected();
    const cut = closed(client);
    proxy.down();
    await cut;

    const refused = net.connect({ host: proxy.host, port: proxy.port });
    const error = new Promise((resolve) => refused.on('error', resolve));
    expect(await error).toMatchObject({ code: 'ECONNRESET' });
    expect(proxy.connections()).toBe(0);
    proxy.up();

    const { client: next, server } = await connected();
    next.end('back');
    expect(String(await readFrom(server))).toBe('back');
  });

  it('lets the sender wait for a receiver that does not read', async () => {
    const { client, server } = await connected();
    const chunk = Buffer.alloc(1 << 20);
    server.pause();
    let sent = 0;
    const total = 64;
    const sending = (async () => {
      for (; sent < total; sent += 1) if (!client.write(chunk)) await once(client, 'drain');
    })();
    // Nothing moves any more when the sender has no progress while a whole round trip of another connection passes.
    for (let seen = -1; seen !== sent; ) {
      seen = sent;
      const other = await connected();
      other.server.end('x');
      await readFrom(other.client);
      await sleep(50);
    }
    expect(sent).toBeLessThan(total);

    const received = readFrom(server, total * chunk.length);
    server.resume();
    await sending;
    expect(await received).toHaveLength(total * chunk.length);
  });
});
