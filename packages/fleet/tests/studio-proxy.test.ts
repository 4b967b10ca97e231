/** @server any */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { createServer, request as httpsRequest, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { GivenFleet } from './fleet-fixture';
import { failureOf, rowsOf } from './migrations-fixture';
import {
  closeStudios,
  codeOf,
  givenPeople,
  givenStudio,
  post,
  type Reply,
  removeStudios,
  send,
} from './studio-fixture';

const PASSWORD = 'correct horse';
const NAME = 'studio.example.com';
const ORIGIN = `https://${NAME}`;
const basic = { authorization: `Basic ${Buffer.from(`any:${PASSWORD}`).toString('base64')}` };

let fleet: GivenFleet;
let folder: string;
let certificate: { readonly key: Buffer; readonly cert: Buffer };
const proxies: Server[] = [];

beforeAll(async () => {
  fleet = await givenPeople();
  folder = await mkdtemp(path.join(os.tmpdir(), 'azora-tls-'));
  const [key, cert] = [path.join(folder, 'key.pem'), path.join(folder, 'cert.pem')];
  const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const named = ['-subj', `/CN=${NAME}`, '-addext', `subjectAltName=DNS:${NAME}`];
  await promisify(execFile)('openssl', [...made, ...named, '-keyout', key, '-out', cert]);
  certificate = { key: await readFile(key), cert: await readFile(cert) };
});
afterEach(async () => {
  for (const proxy of proxies.splice(0)) await new Promise((resolve) => proxy.close(resolve));
  await closeStudios();
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await removeStudios([fleet]);
});

/** A proxy that ends TLS, and sets these headers besides the client's. */
async function givenProxy(port: number, headers: (host: string) => Record<string, string>): Promise<Ask> {
  const proxy = createServer(certificate, (request, response) => {
    const all = { ...request.headers, connection: 'close', ...headers(request.headers.host ?? '') };
    const { url, method } = request;
    const passed = httpRequest({ host: '127.0.0.1', port, path: url, method, headers: all }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    request.pipe(passed);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  proxies.push(proxy);
  const place = { host: '127.0.0.1', port: (proxy.address() as AddressInfo).port, servername: NAME };
  return (target, { method = 'GET', headers: sent = {}, body } = {}) =>
    new Promise((resolve, reject) => {
      const tls = { ca: certificate.cert, agent: false };
      const asked = httpsRequest(
        { ...place, ...tls, path: target, method, headers: { host: NAME, 'user-agent': 'a browser', ...sent } },
        async (response) => {
          const chunks: Buffer[] = [];
          for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
          const text = Buffer.concat(chunks).toString('utf8');
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
        },
      );
      asked.on('error', reject);
      asked.end(body);
    });
}

type Ask = (
  target: string,
  sent?: { readonly method?: string; readonly headers?: Record<string, string>; readonly body?: string },
) => Promise<Reply>;

const PROXIES = {
  'that passes on the Host header': () => ({}),
  'that names its own upstream, as nginx does by default': (_host: string, port: number) => ({
    host: `127.0.0.1:${port}`,
  }),
  'that describes the request, as Caddy and Traefik do': (host: string, port: number) => ({
    host: `127.0.0.1:${port}`,
    'x-forwarded-host': host,
    'x-forwarded-proto': 'https',
    'x-forwarded-for': '10.9.9.9, 203.0.113.7',
  }),
};

const behind = (address?: string) =>
  givenStudio(fleet, { proxy: { origin: ORIGIN, address }, password: PASSWORD, write: true });

/** The cookies and the key of a browser that has entered the password. */
async function enter(ask: Ask): Promise<Record<string, string>> {
  const entered = await ask('/', { headers: basic });
  const cookies = (entered.headers['set-cookie'] ?? []).map((cookie) => cookie.split(';')[0] ?? '');
  const page = await ask(entered.headers.location ?? '/', { headers: { ...basic, cookie: cookies.join('; ') } });
  const [, key = ''] = /name="studio-key" content="([\w-]+)"/.exec(page.text) ?? [];
  return { cookie: cookies[0] ?? '', 'x-studio-key': key };
}

describe('a studio behind a proxy', () => {
  it.each(Object.entries(PROXIES))('%s answers the page, its files and its statements', async (_name, headersOf) => {
    const { server } = await behind();
    const ask = await givenProxy(server.port, (host) => headersOf(host, server.port));

    const asked = await ask('/');
    const entered = await ask('/data?x=1', { headers: basic });
    const inside = await enter(ask);
    const script = await ask('/assets/page.js', { headers: { ...inside, origin: ORIGIN } });
    const sent = post(server.port, 'people', JSON.stringify({ procedure: 'query', query: { sql: 'SELECT 1 AS one' } }));
    const answer = await ask(sent.path, {
      method: 'POST',
      headers: { ...sent.headers, ...inside, origin: ORIGIN },
      ...(sent.body === undefined ? {} : { body: sent.body }),
    });

    expect(server.url).toBe(`${ORIGIN}/`);
    expect(asked.status).toBe(401);
    expect([entered.status, entered.headers.location]).toEqual([302, '/data?x=1']);
    for (const cookie of entered.headers['set-cookie'] ?? [])
      expect(cookie).toMatch(/^__Host-azora_studio(_ticket)?=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Secure/);
    expect([script.status, answer.status, answer.text]).toEqual([200, 200, '[null,[{"one":1}]]']);
  });

  it.each([
    ['another site', { origin: 'https://evil.test' }],
    ['its own address without TLS', { origin: `http://${NAME}` }],
    ['another host', { host: 'evil.test' }],
    ['a host that only begins with its name', { host: `${NAME}.evil.test` }],
    ['another port', { host: `${NAME}:8443` }],
    ['another forwarded host', { 'x-forwarded-host': 'evil.test' }],
    ['a connection to the proxy without TLS', { 'x-forwarded-proto': 'http' }],
  ])('rejects a request from %s', async (_name, headers) => {
    const { server } = await behind();
    const ask = await givenProxy(server.port, () => ({}));
    const inside = await enter(ask);

    const reply = await ask('/api/models', { headers: { ...inside, ...headers } });

    expect([reply.status, codeOf(reply.text)]).toEqual([403, 'STUDIO.FORBIDDEN']);
    expect((await ask('/api/models', { headers: inside })).status).toBe(200);
  });

  it('rejects everyone but the proxy, whatever headers they send', async () => {
    const { server } = await behind('203.0.113.1');
    const forwarded = { host: NAME, 'x-forwarded-for': '203.0.113.1', 'x-forwarded-proto': 'https', ...basic };

    const reply = await send(server.port, { path: '/', headers: forwarded });

    expect([reply.status, codeOf(reply.text)]).toEqual([403, 'STUDIO.FORBIDDEN']);
  });

  it('records the address that the proxy saw, and not those that the client claims', async () => {
    const { server } = await behind();
    const ask = await givenProxy(server.port, () => ({ 'x-forwarded-for': '10.9.9.9, 203.0.113.7' }));
    const inside = await enter(ask);
    const sql = "INSERT INTO notes (user_id, body) VALUES ('u1', 'through the proxy')";
    const sent = post(server.port, 'people', JSON.stringify({ procedure: 'query', query: { sql } }));

    await ask(sent.path, {
      method: 'POST',
      headers: { ...sent.headers, ...inside, origin: ORIGIN },
      body: sent.body ?? '',
    });

    const entries = await rowsOf(fleet.target('people').admin, 'SELECT ip_address AS address FROM audit_logs');
    expect(entries).toEqual(['203.0.113.7']);
  });

  it('locks out the source of wrong passwords, and nobody else', async () => {
    const { server } = await behind();
    let source = '203.0.113.7';
    const ask = await givenProxy(server.port, () => ({ 'x-forwarded-for': source }));
    const wrong = { authorization: `Basic ${Buffer.from('any:wrong').toString('base64')}` };

    const statuses = [];
    for (let n = 0; n < 11; n += 1) statuses.push((await ask('/', { headers: wrong })).status);
    const same = await ask('/', { headers: basic });
    source = '203.0.113.8';
    const other = await ask('/', { headers: basic });

    expect(statuses).toEqual([...Array(10).fill(401), 429]);
    expect([same.status, other.status]).toEqual([429, 302]);
  });

  it('needs a password', async () => {
    const failure = await failureOf(givenStudio(fleet, { proxy: { origin: ORIGIN, address: undefined } }));

    expect(failure.code).toBe('STUDIO.PASSWORD_NEEDED');
  });
});

describe('a studio without a proxy', () => {
  it('believes no forwarded header', async () => {
    const studio = await givenStudio(fleet, { write: true });
    const sql = "UPDATE notes SET body = 'direct'";
    const sent = post(studio.server.port, 'people', JSON.stringify({ procedure: 'query', query: { sql } }));
    const admin = fleet.target('people').admin;
    await rowsOf(admin, 'TRUNCATE audit_logs');

    const named = await studio.send({ path: '/api/models', headers: { host: NAME, 'x-forwarded-host': NAME } });
    await studio.send({ ...sent, headers: { ...sent.headers, 'x-forwarded-for': '203.0.113.7' } });

    expect(named.status).toBe(403);
    expect(await rowsOf(admin, 'SELECT ip_address AS address FROM audit_logs')).toEqual(['127.0.0.1']);
  });
});
