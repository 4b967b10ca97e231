/** @server none */
import { once } from 'node:events';
import net from 'node:net';
import { parseDatabaseUrl } from '@azora/db-core';
import { withClient } from '@azora/db-fleet';
import { openMint } from '@azora/mint';

/** A message of the server that asks for a step of the authentication: SCRAM-SHA-256, or its next part. */
function authentication(step: 10 | 11, text: string): Buffer {
  const body = Buffer.from(text);
  const head = Buffer.alloc(9, 'R');
  head.writeInt32BE(8 + body.length, 1);
  head.writeInt32BE(step, 5);
  return Buffer.concat([head, body]);
}

/** A server that asks for a password, and the connections that it has accepted. */
async function givenServer(): Promise<{
  readonly server: net.Server;
  readonly url: string;
  readonly sockets: net.Socket[];
}> {
  const sockets: net.Socket[] = [];
  const server = net.createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write(authentication(10, 'SCRAM-SHA-256\0\0'));
      socket.once('data', () => {
        socket.write(authentication(11, 'r=nonce,s=c2FsdA==,i=4096'));
        socket.resume();
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  return { server, url: `postgresql://nobody@127.0.0.1:${port}/azora_mint`, sockets };
}

describe('a connection that fails for lack of a password', () => {
  let given: Awaited<ReturnType<typeof givenServer>>;
  beforeEach(async () => {
    given = await givenServer();
  });
  afterEach(() => {
    for (const socket of given.sockets) socket.destroy();
    given.server.close();
  });

  /** The server would keep its backend for a minute, and with it every CREATE DATABASE and DROP DATABASE. */
  const closed = async () => {
    const [socket] = given.sockets;
    if (socket === undefined) throw new Error('Nothing connected');
    if (!socket.closed) await once(socket, 'close');
  };

  it('is closed by the toolkit and the runner', async () => {
    const url = parseDatabaseUrl(given.url, 'DATABASE_URL');

    await expect(withClient(url, async () => undefined)).rejects.toMatchObject({ code: 'SERVER.REFUSED' });
    await closed();
  }, 10_000);

  it('is closed by the pool of a store', async () => {
    const store = openMint({ url: given.url });

    await expect(store.query({ text: 'SELECT 1', values: [] })).rejects.toMatchObject({
      code: 'DATABASE.ACCESS_DENIED',
    });
    await closed();
    await store.close();
  }, 10_000);
});
