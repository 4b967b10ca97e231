/** @server any */
import { isLoopback, isOwnHost } from '../src/studio/origin';
import type { GivenFleet } from './fleet-fixture';
import { failureOf } from './migrations-fixture';
import {
  closeStudios,
  codeOf,
  givenPeople,
  givenStudio,
  post,
  removeStudios,
  SELECT_1,
  send,
  sendBytes,
} from './studio-fixture';

let fleet: GivenFleet;

beforeAll(async () => {
  fleet = await givenPeople();
});
afterEach(closeStudios);
afterAll(() => removeStudios([fleet]));

describe('the token', () => {
  it('is exchanged for an HttpOnly cookie and removed from the address', async () => {
    const { server } = await givenStudio(fleet);
    const token = new URL(server.url).searchParams.get('token') ?? '';

    const { status, headers } = await send(server.port, { path: `/people/users?token=${token}&row=1` });

    const [cookie = ''] = headers['set-cookie'] ?? [];
    expect([status, headers.location]).toEqual([302, '/people/users?row=1']);
    expect(cookie).toMatch(/^azora_studio_\d+=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/);
    expect(cookie).not.toContain(token);
    expect(token).toMatch(/^[\w-]{43}$/);
  });

  it.each(['', '?token=', '?token=wrong', `?token=${'A'.repeat(43)}`])(
    'does not authenticate when it is missing or wrong: /%s',
    async (query) => {
      const { server } = await givenStudio(fleet);

      const reply = await send(server.port, { path: `/${query}` });

      expect([reply.status, codeOf(reply.text), reply.headers['set-cookie']]).toEqual([
        401,
        'STUDIO.UNAUTHORIZED',
        undefined,
      ]);
    },
  );

  it.each(['/', '/people/users', '/assets/page.js', '/api/fleet', '/api/models', '/api/overview', '/api/nothing'])(
    'or the cookie is required at %s',
    async (path) => {
      const { server } = await givenStudio(fleet);

      const without = await send(server.port, { path });
      const wrong = await send(server.port, {
        path,
        headers: { cookie: `azora_studio_${server.port}=${'A'.repeat(43)}` },
      });

      expect([without.status, wrong.status]).toEqual([401, 401]);
    },
  );

  it('or the cookie is required before a body is read', async () => {
    const { server } = await givenStudio(fleet);

    const reply = await send(server.port, post(server.port, 'people', SELECT_1));

    expect([reply.status, codeOf(reply.text)]).toEqual([401, 'STUDIO.UNAUTHORIZED']);
  });

  it('leads to a key that the API requires besides the cookie, which a browser sends to other ports too', async () => {
    const { server, entered } = await givenStudio(fleet);
    const { cookie, 'x-studio-key': key } = entered;
    const asks = [{ cookie }, { 'x-studio-key': key }, { cookie, 'x-studio-key': 'A'.repeat(43) }, entered];

    const statuses = [];
    for (const headers of asks) statuses.push((await send(server.port, { path: '/api/models', headers })).status);
    const page = await send(server.port, { path: '/', headers: { cookie } });

    expect(statuses).toEqual([401, 401, 401, 200]);
    expect(key).toMatch(/^[\w-]{43}$/);
    expect(page.text).not.toContain('studio-key');
  });

  it('gives a ticket that is valid once', async () => {
    const { server } = await givenStudio(fleet);
    const first = await send(server.port, { path: `/${new URL(server.url).search}` });
    const cookie = (first.headers['set-cookie'] ?? []).map((it) => it.split(';')[0] ?? '').join('; ');

    const pages = [];
    for (let n = 0; n < 2; n += 1)
      pages.push((await send(server.port, { path: '/', headers: { cookie } })).text.includes('studio-key'));

    expect(pages).toEqual([true, false]);
  });

  it('authenticates GET requests only', async () => {
    const { server } = await givenStudio(fleet);
    const { search } = new URL(server.url);

    const reply = await send(server.port, {
      ...post(server.port, 'people', SELECT_1),
      path: `/api/services/people/query${search}`,
    });

    expect(reply.status).toBe(401);
  });
});

describe('the Host header', () => {
  const hosts = (port: number) => [
    'evil.test',
    `evil.test:${port}`,
    `127.0.0.1.evil.test:${port}`,
    `localhost.evil.test:${port}`,
    '127.0.0.1',
    `127.0.0.1:${port + 1}`,
    `127.0.0.1:${port}:${port}`,
    `127.0.0.1@evil.test:${port}`,
    `10.0.0.1:${port}`,
    `0.0.0.0:${port}`,
    `[::ffff:7f00:1]:${port}`,
  ];

  it('must name the studio, even with the cookie or the token', async () => {
    const { server, send: sendIn } = await givenStudio(fleet);
    const { search } = new URL(server.url);

    const statuses = [];
    for (const host of hosts(server.port)) {
      for (const path of ['/', `/${search}`, '/api/fleet', '/assets/page.js']) {
        statuses.push(`${host} ${(await sendIn({ path, headers: { host } })).status}`);
        statuses.push(`${host} ${(await send(server.port, { path, headers: { host } })).status}`);
      }
    }

    expect(statuses.filter((status) => !status.endsWith(' 403'))).toEqual([]);
  });

  it('is required', async () => {
    const {
      server,
      entered: { cookie },
    } = await givenStudio(fleet);

    const none = await sendBytes(server.port, `GET / HTTP/1.0\r\nCookie: ${cookie}\r\n\r\n`);
    const empty = await sendBytes(server.port, `GET / HTTP/1.0\r\nHost:\r\nCookie: ${cookie}\r\n\r\n`);

    expect([none, empty].map((answer) => answer.slice(0, 12))).toEqual(['HTTP/1.1 403', 'HTTP/1.1 403']);
  });

  it('may be any loopback name', async () => {
    const { server, send: sendIn } = await givenStudio(fleet);

    const names = ['127.0.0.1', 'localhost', 'LOCALHOST', '[::1]'];
    const replies = await Promise.all(
      names.map((name) => sendIn({ path: '/', headers: { host: `${name}:${server.port}` } })),
    );

    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  });

  it('must be an IP address or localhost when the studio listens on all interfaces', () => {
    const everywhere = { host: '0.0.0.0', port: 80 };

    const answers = [
      '10.1.2.3',
      '[fe80::1]',
      'localhost',
      '10.1.2.3:81',
      'evil.test',
      '10.1.2.3.evil.test',
      undefined,
    ].map((host) => isOwnHost(host, everywhere));

    expect(answers).toEqual([true, true, true, false, false, false, false]);
  });

  it('is a loopback address only where the address is in 127.0.0.0/8, ::1 or localhost', () => {
    const hosts = [
      '127.0.0.1',
      '127.9.9.9',
      '::1',
      'localhost',
      '0.0.0.0',
      '::',
      '10.0.0.1',
      '127.evil.test',
      'localhost.evil.test',
    ];

    expect(hosts.filter(isLoopback)).toEqual(['127.0.0.1', '127.9.9.9', '::1', 'localhost']);
  });
});

describe('another site', () => {
  const foreign: Record<string, (port: number) => Record<string, string>> = {
    'a foreign Origin': () => ({ origin: 'http://evil.test' }),
    'the Origin of another port': (port) => ({ origin: `http://127.0.0.1:${port + 1}` }),
    'the Origin under another scheme': (port) => ({ origin: `https://127.0.0.1:${port}` }),
    'an opaque Origin': () => ({ origin: 'null' }),
    'Sec-Fetch-Site: cross-site': () => ({ 'sec-fetch-site': 'cross-site' }),
    'Sec-Fetch-Site: same-site': () => ({ 'sec-fetch-site': 'same-site' }),
  };

  it.each(Object.keys(foreign))('cannot send SQL: %s', async (name) => {
    const { server, send: sendIn } = await givenStudio(fleet);
    const sent = post(server.port, 'people', SELECT_1);

    const reply = await sendIn({ ...sent, headers: { ...sent.headers, ...foreign[name]?.(server.port) } });

    expect([reply.status, codeOf(reply.text)]).toEqual([403, 'STUDIO.FORBIDDEN']);
  });

  it('cannot read the API, and cannot omit the Origin', async () => {
    const { server, send: sendIn } = await givenStudio(fleet);
    const { origin: _origin, ...headers } = post(server.port, 'people', SELECT_1).headers ?? {};

    const read = await sendIn({
      path: '/api/fleet',
      headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' },
    });
    const sent = await sendIn({ ...post(server.port, 'people', SELECT_1), headers });

    expect([read.status, sent.status]).toEqual([403, 403]);
  });

  it('may link to the page', async () => {
    const { server, send: sendIn } = await givenStudio(fleet);
    const navigation = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' };

    // A browser follows the link without the SameSite=Strict cookie, and sends the cookie on the next navigation.
    const followed = await send(server.port, { path: '/', headers: navigation });
    const reloaded = await sendIn({ path: '/', headers: navigation });

    expect([followed.status, reloaded.status]).toEqual([401, 200]);
    expect(followed.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(followed.text).toContain('Open the address that the studio printed');
  });

  it('gets no CORS headers', async () => {
    const { send: sendIn } = await givenStudio(fleet);

    const { headers } = await sendIn({ path: '/', headers: {} });

    expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'cache-control': 'no-store',
    });
  });
});

describe('a studio on a network address', () => {
  it('does not listen without a password', async () => {
    const failure = await failureOf(givenStudio(fleet, { host: '0.0.0.0' }));

    expect(failure.code).toBe('STUDIO.PASSWORD_NEEDED');
  });

  it('exchanges the password, and no token, for the cookie', async () => {
    const { server } = await givenStudio(fleet, { host: '0.0.0.0', password: 'correct horse' });
    const basic = (password: string) => ({
      authorization: `Basic ${Buffer.from(`any:${password}`).toString('base64')}`,
    });

    const asked = await send(server.port, { path: '/' });
    const wrong = await send(server.port, { path: '/?token=correct%20horse', headers: basic('wrong') });
    const right = await send(server.port, { path: '/', headers: basic('correct horse') });
    const [cookie = ''] = right.headers['set-cookie'] ?? [];
    const inside = await send(server.port, { path: '/', headers: { cookie: cookie.split(';')[0] ?? '' } });

    expect(server.url).not.toContain('token');
    expect([asked.status, asked.headers['www-authenticate']]).toEqual([401, 'Basic realm="Azora studio"']);
    expect([wrong.status, right.status, inside.status]).toEqual([401, 302, 200]);
  });

  it('accepts no SQL with the password alone, because browsers add it to requests of other sites', async () => {
    const { server } = await givenStudio(fleet, { host: '0.0.0.0', password: 'correct horse' });
    const sent = post(server.port, 'people', SELECT_1);
    const authorization = `Basic ${Buffer.from('any:correct horse').toString('base64')}`;

    expect((await send(server.port, { ...sent, headers: { ...sent.headers, authorization } })).status).toBe(401);
  });

  it('accepts no more than ten wrong passwords a minute', async () => {
    const { server } = await givenStudio(fleet, { host: '0.0.0.0', password: 'correct horse' });
    const tries = (password: string) =>
      send(server.port, {
        path: '/',
        headers: { authorization: `Basic ${Buffer.from(`a:${password}`).toString('base64')}` },
      });

    const statuses = [];
    for (let n = 0; n < 10; n += 1) statuses.push((await tries(`wrong ${n}`)).status);

    expect(statuses).toEqual(Array(10).fill(401));
    expect((await tries('correct horse')).status).toBe(429);
  });
});
