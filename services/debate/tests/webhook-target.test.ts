/** @server none */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { signWebhook, verifyWebhook } from '../src';
import { post } from '../src/webhook/post';
import {
  type Address,
  type HostResolver,
  isNetwork,
  isPublicAddress,
  networksOf,
  TargetRefused,
} from '../src/webhook/target';

/** The vector that standardwebhooks.com publishes. */
const VECTOR = { messageId: 'msg_p5jXN8AQM9LWM0D4loKWxJek', timestamp: 1_614_265_330, body: '{"test": 2432232314}' };
const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const SIGNATURE = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=';

describe('the signature of a webhook', () => {
  const now = new Date(VECTOR.timestamp * 1_000);
  const received = { ...VECTOR, secret: SECRET, signature: SIGNATURE, now };

  it('is the published one', () => {
    expect(signWebhook(SECRET, VECTOR)).toBe(SIGNATURE);
    expect(verifyWebhook(received)).toBe(true);
    expect(verifyWebhook({ ...received, signature: `v1a,zzz v1,AAAA ${SIGNATURE}` })).toBe(true);
  });

  it('covers id, time, body and secret, and is fresh for five minutes', () => {
    const other = [
      { messageId: 'msg_2' },
      { timestamp: VECTOR.timestamp + 1 },
      { body: '{"test":2432232314}' },
      { secret: 'whsec_AAAA' },
      { signature: '' },
      { signature: SIGNATURE.replace('v1,', 'v2,') },
      { now: new Date(now.getTime() + 301_000) },
      { now: new Date(now.getTime() - 301_000) },
      { now: new Date(Number.NaN) },
    ];
    expect(other.map((change) => verifyWebhook({ ...received, ...change }))).toEqual(other.map(() => false));
    expect(verifyWebhook({ ...received, now: new Date(now.getTime() + 300_000) })).toBe(true);
  });
});

describe('the addresses that a webhook may reach', () => {
  it.each([
    ...[
      '0.0.0.0',
      '10.1.2.3',
      '100.64.0.1',
      '127.0.0.1',
      '127.255.255.255',
      '169.254.169.254',
      '172.16.0.1',
      '172.31.255.255',
    ],
    ...[
      '192.0.0.1',
      '192.0.2.1',
      '192.88.99.1',
      '192.168.1.1',
      '198.18.0.1',
      '198.51.100.1',
      '203.0.113.1',
      '224.0.0.1',
    ],
    ...[
      '240.0.0.1',
      '255.255.255.255',
      '::',
      '::1',
      '::ffff:127.0.0.1',
      '::ffff:8.8.8.8',
      '::127.0.0.1',
      '64:ff9b::7f00:1',
    ],
    ...[
      '64:ff9b:1::1',
      'fc00::1',
      'fd12::1',
      'fe80::1',
      'fec0::1',
      'ff02::1',
      '2001::1',
      '2001:db8::1',
      '2002:7f00:1::',
      '3fff::1',
    ],
    ...['localhost', '', '1.2.3', '8.8.8.8.'],
  ])('do not include %s', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  it.each([
    '1.1.1.1',
    '8.8.8.8',
    '172.32.0.1',
    '100.128.0.1',
    '192.0.1.1',
    '223.255.255.255',
    '2606:4700::1111',
    '2a00::1',
  ])('include %s', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  it('are extended by networks', () => {
    const networks = [
      '10.0.0.0/8',
      '::1/128',
      '10.0.0.0/33',
      '10.0.0.0',
      'x/8',
      '::1/129',
      '10.0.0.0/8/8',
      '10.0.0.0/-1',
    ];
    expect(networks.filter(isNetwork)).toEqual(['10.0.0.0/8', '::1/128']);
  });
});

describe('a post to a webhook', () => {
  interface Hit {
    readonly url: string | undefined;
    readonly host: string | undefined;
    readonly body: string;
  }
  const hits: Hit[] = [];
  let location = '';
  const server = http.createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      hits.push({ url: request.url, host: request.headers.host, body });
      if (request.url === '/silent') return;
      response.writeHead(request.url === '/moved' ? 302 : 200, location === '' ? {} : { location });
      response.end('x'.repeat(100_000));
    });
  });
  let port = 0;
  beforeAll(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  beforeEach(() => {
    hits.length = 0;
  });
  afterAll(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });

  const local = networksOf(['127.0.0.1/32']);
  const none = networksOf([]);
  const at =
    (...addresses: readonly string[]): HostResolver =>
    async () =>
      addresses.map((address): Address => ({ address, family: address.includes(':') ? 6 : 4 }));
  const send = (url: string, allowed = none, resolve: HostResolver = at('127.0.0.1')) =>
    post(
      { url, headers: { 'content-type': 'application/json' }, body: '{"n":1}', timeoutMs: 20_000 },
      { allowed, resolve },
    );

  it('reaches the address that was checked, with the name of the host, and asks for its address once', async () => {
    const answers = [['127.0.0.1'], ['10.0.0.1']];
    const asked: string[] = [];
    const rebinding: HostResolver = async (hostname) => {
      asked.push(hostname);
      return (answers.shift() ?? []).map((address) => ({ address, family: 4 }));
    };

    expect(await send(`http://hooks.example:${port}/a?b=c`, local, rebinding)).toBe(200);

    expect(hits).toEqual([{ url: '/a?b=c', host: `hooks.example:${port}`, body: '{"n":1}' }]);
    expect(asked).toEqual(['hooks.example']);
    await expect(send(`http://hooks.example:${port}/`, local, rebinding)).rejects.toBeInstanceOf(TargetRefused);
    expect(hits).toHaveLength(1);
  });

  it.each([
    ['https://hooks.example:PORT/', at('127.0.0.1')],
    ['https://hooks.example:PORT/', at('8.8.8.8', '127.0.0.1')],
    ['https://hooks.example:PORT/', at('::ffff:127.0.0.1')],
    ['https://hooks.example:PORT/', at()],
    ['https://127.0.0.1:PORT/', at('8.8.8.8')],
    ['https://0x7f.1:PORT/', at('8.8.8.8')],
    ['https://2130706433:PORT/', at('8.8.8.8')],
    ['https://0177.0.0.1:PORT/', at('8.8.8.8')],
    ['https://[::1]:PORT/', at('8.8.8.8')],
    ['https://[::ffff:7f00:1]:PORT/', at('8.8.8.8')],
    ['http://hooks.example:PORT/', at('8.8.8.8')],
    ['ftp://hooks.example:PORT/', at('8.8.8.8')],
    ['file:///etc/passwd', at('8.8.8.8')],
  ])('is refused before any connection: %s', async (url, resolve) => {
    await expect(send(url.replace('PORT', String(port)), none, resolve)).rejects.toBeInstanceOf(TargetRefused);
    expect(hits).toEqual([]);
  });

  it('does not follow a redirect', async () => {
    location = `http://127.0.0.1:${port}/internal`;

    expect(await send(`http://hooks.example:${port}/moved`, local)).toBe(302);

    expect(hits.map(({ url }) => url)).toEqual(['/moved']);
  });

  it('fails when the receiver does not answer in time, or the name server fails', async () => {
    const rules = { allowed: local, resolve: at('127.0.0.1') };
    const input = { url: `http://hooks.example:${port}/silent`, headers: {}, body: '', timeoutMs: 50 };

    await expect(post(input, rules)).rejects.toMatchObject({ name: expect.stringMatching(/Abort|Timeout/) });
    await expect(
      send(`http://hooks.example:${port}/`, local, () => Promise.reject(new Error('SERVFAIL'))),
    ).rejects.toThrow('SERVFAIL');
  });
});
