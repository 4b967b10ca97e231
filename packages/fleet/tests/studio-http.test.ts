/** @server any */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { readAssets } from '../src/studio/page';
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
  type SendOptions,
  sendBytes,
} from './studio-fixture';

let fleet: GivenFleet;

beforeAll(async () => {
  fleet = await givenPeople();
});
afterEach(closeStudios);
afterAll(() => removeStudios([fleet]));

describe('the page', () => {
  it('allows its own scripts and styles with its nonce, which changes with each request', async () => {
    const { send: sendIn } = await givenStudio(fleet);

    const [first, second] = await Promise.all([sendIn({ path: '/' }), sendIn({ path: '/people/users?row=1' })]);

    const nonceOf = (text: string) => /<script nonce="([^"]+)" src="\/assets\/env.js">/.exec(text)?.[1] ?? '';
    const [nonce, other] = [nonceOf(first.text), nonceOf(second.text)];
    expect(first.headers['content-security-policy']).toBe(
      `default-src 'none'; script-src 'self'; style-src 'self' 'nonce-${nonce}'; connect-src 'self'; img-src 'self' data:; ` +
        "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    expect(nonce).toHaveLength(24);
    expect(second.text.replace(other, nonce)).toBe(first.text);
    expect(other).not.toBe(nonce);
  });

  it('serves its files by their exact names, with types and caching headers', async () => {
    const { send: sendIn } = await givenStudio(fleet);

    const script = await sendIn({ path: '/assets/page.js' });
    const again = await sendIn({ path: '/assets/page.js', headers: { 'if-none-match': script.headers.etag ?? '' } });
    const chunk = await sendIn({ path: '/assets/chunk-ABCD1234.js?x' });

    expect([script.status, script.text, script.headers['content-type']]).toEqual([
      200,
      '/* page.js */',
      'text/javascript; charset=utf-8',
    ]);
    expect([again.status, again.text]).toEqual([304, '']);
    expect(chunk.headers['cache-control']).toBe('private, max-age=31536000, immutable');
  });

  it.each([
    '/assets/..%2f..%2fpackage.json',
    '/assets/%2fetc%2fpasswd',
    '/assets//etc/passwd',
    '/assets/page.js/',
    '/assets/page.js%00.css',
    '/assets/__proto__',
    '/assets/',
    '/assets',
  ])('serves no other file: %s', async (target) => {
    const { send: sendIn } = await givenStudio(fleet);

    const reply = await sendIn({ path: target });

    expect([reply.status, codeOf(reply.text)]).toEqual([404, 'STUDIO.NOT_FOUND']);
  });

  // The URL parser resolves the dots, and every path outside /assets and /api is the page.
  it.each(['/assets/../../package.json', '/assets/%2e%2e/%2e%2e/package.json', '/assets/..\\..\\package.json'])(
    'is the answer to a path that leaves the folder: %s',
    async (target) => {
      const { send: sendIn } = await givenStudio(fleet);

      const reply = await sendIn({ path: target });

      expect([reply.status, reply.text.includes('<div id="root">')]).toEqual([200, true]);
    },
  );

  it('is reported as not built, with the reason', async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'azora-page-'));
    const file = path.join(folder, 'page.js');
    await writeFile(file, '');

    const failures = await Promise.all(
      [folder, file, path.join(folder, 'missing')].map((it) => failureOf(readAssets(it))),
    );
    await rm(folder, { recursive: true });

    expect(failures.map(({ code }) => code)).toEqual(Array(3).fill('STUDIO.NOT_BUILT'));
    expect(failures.map(({ why }) => why)).toEqual([
      `${folder} does not contain page.css, env.js.`,
      `${file} cannot be read: ENOTDIR.`,
      `${path.join(folder, 'missing')} cannot be read: ENOENT.`,
    ]);
  });

  it.each([
    'GET http://evil.test/ HTTP/1.1',
    'GET //evil.test/ HTTP/1.1',
    'OPTIONS * HTTP/1.1',
    'GET ?token=x HTTP/1.1',
  ])('rejects a request target that is not a path: %s', async (line) => {
    const { server, entered } = await givenStudio(fleet);

    const answer = await sendBytes(
      server.port,
      `${line}\r\nHost: 127.0.0.1:${server.port}\r\nCookie: ${entered.cookie}\r\nConnection: close\r\n\r\n`,
    );

    expect(answer).toMatch(/^HTTP\/1.1 400 /);
  });
});

describe('a request', () => {
  const change = (
    sent: SendOptions,
    changes: Partial<SendOptions>,
    headers: Record<string, string> = {},
  ): SendOptions => ({
    ...sent,
    ...changes,
    headers: { ...sent.headers, ...headers },
  });

  it('is rejected with the status and code of its mistake', async () => {
    const { server, send: sendIn } = await givenStudio(fleet);
    const sent = post(server.port, 'people', SELECT_1);

    const replies = [];
    for (const request of [
      change(sent, { path: '/api/services/nothing/query' }),
      change(sent, { path: '/api/services/__proto__/query' }),
      change(sent, { path: '/api/services/people/drop' }),
      change(sent, { body: 'SELECT 1' }),
      change(sent, { body: '' }),
      change(sent, { body: '[]' }),
      change(sent, { body: '{"procedure":"query","query":{"sql":1}}' }),
      change(sent, { body: '{"procedure":"sequence","sequence":[]}' }),
      change(sent, {}, { 'content-type': 'text/plain' }),
      change(sent, {}, { 'content-type': 'application/x-www-form-urlencoded' }),
      change(sent, { path: '/people/users' }),
      change(sent, { path: '/api/fleet' }),
      { path: '/api/services/people/query' },
      { path: '/api/services/people/references' },
      { path: '/api' },
    ]) {
      const { status, text } = await sendIn(request);
      replies.push(`${status} ${codeOf(text)}`);
    }

    expect(replies).toEqual([
      '404 STUDIO.UNKNOWN_SERVICE',
      '404 STUDIO.UNKNOWN_SERVICE',
      '404 STUDIO.NOT_FOUND',
      '400 STUDIO.BAD_REQUEST',
      '400 STUDIO.BAD_REQUEST',
      '400 STUDIO.BAD_REQUEST',
      '400 STUDIO.BAD_REQUEST',
      '400 STUDIO.BAD_REQUEST',
      '400 STUDIO.BAD_REQUEST',
      '400 STUDIO.BAD_REQUEST',
      '404 STUDIO.NOT_FOUND',
      '405 STUDIO.BAD_METHOD',
      '405 STUDIO.BAD_METHOD',
      '400 STUDIO.BAD_REQUEST',
      '404 STUDIO.NOT_FOUND',
    ]);
  });

  it('is rejected above 1 MB, by its Content-Length and by the bytes that arrive', async () => {
    const { server, send: sendIn, entered } = await givenStudio(fleet);
    const sent = post(server.port, 'people', JSON.stringify({ sql: 'x'.repeat(1024 * 1024) }));

    const said = await sendIn(change(sent, { body: 'x' }, { 'content-length': '1048577' })).catch(() => undefined);
    const came = await sendChunks(server.port, { ...sent, headers: { ...sent.headers, ...entered } });

    expect([said?.status, came]).toEqual([413, 413]);
    expect((await sendIn({ path: '/' })).status).toBe(200);
  });

  it('never reveals a password, a server address or the token', async () => {
    const { server, studio, query, send: sendIn, logged } = await givenStudio(fleet);
    const { password } = new URL(fleet.target('people').admin.href);
    const token = new URL(server.url).searchParams.get('token') ?? '';
    await query('SELECT 1');

    const texts = [];
    const statuses = [];
    for (const place of [
      '/',
      '/api/fleet',
      '/api/overview',
      '/api/models',
      '/assets/page.js',
      '/api/services/people/references?table=users&column=id&value=u1',
    ]) {
      const { status, text } = await sendIn({ path: place });
      statuses.push(status);
      texts.push(text);
    }
    for (const sql of ['SELECT nothing', 'SELECT current_setting($$a.b$$)', 'SELECT inet_server_addr(), current_user'])
      texts.push(JSON.stringify(await query(sql)));
    await studio.close();
    texts.push(JSON.stringify(await query('SELECT 1')), ...logged);

    const all = texts.join('\n');
    expect(statuses).toEqual(Array(6).fill(200));
    expect(all).not.toMatch(/postgres(ql)?:\/\//);
    expect(all).not.toContain(token);
    expect(all).not.toContain(`@${fleet.target('people').admin.host}:`);
    if (password.length > 4) expect(all).not.toContain(password);
  });
});

/** Sends a chunked body, without a Content-Length. */
function sendChunks(port: number, { path: target, headers, body = '' }: SendOptions): Promise<number | undefined> {
  return new Promise((resolve) => {
    const all = { host: `127.0.0.1:${port}`, ...headers };
    const sent = httpRequest(
      { host: '127.0.0.1', port, path: target, method: 'POST', headers: all, agent: false },
      (response) => {
        response.resume();
        resolve(response.statusCode);
      },
    );
    sent.on('error', () => resolve(undefined));
    for (let from = 0; from < body.length; from += 65_536) sent.write(body.slice(from, from + 65_536));
    sent.end();
  });
}
