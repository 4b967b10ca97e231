/** @server none */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { type EmbeddingProvider, type HttpProviderOptions, ollamaProvider, openAiProvider } from '../src';
import { outcomes } from './given';

const SECRET = 'sk-very-secret';
const TEXT = 'A private note about marigolds.';

interface Asked {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: { readonly model: string; readonly input: readonly string[]; readonly [field: string]: unknown };
}
type Handler = (asked: Asked, response: http.ServerResponse) => void;

const json = (response: http.ServerResponse, body: unknown, status = 200, headers: http.OutgoingHttpHeaders = {}) =>
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
/** The embedding of a text is its length and its number in the request. */
const openAi: Handler = ({ body }, response) => {
  const data = body.input.map((text, index) => ({ index, embedding: [text.length, index + 1] }));
  json(response, { data: data.toReversed() });
};
const ollama: Handler = ({ body }, response) =>
  json(response, { embeddings: body.input.map((text, index) => [text.length, index + 1]) });

describe.each([
  ['openai', openAi],
  ['ollama', ollama],
] as const)('the provider %s', (name, answer) => {
  const asked: Asked[] = [];
  let handler: Handler = answer;
  let url = '';
  const server = http.createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const call = {
      path: request.url ?? '',
      authorization: request.headers.authorization,
      body: JSON.parse(Buffer.concat(chunks).toString()),
    };
    asked.push(call);
    handler(call, response);
  });
  beforeAll(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  });
  beforeEach(() => {
    asked.length = 0;
    handler = answer;
  });
  afterAll(() => new Promise((resolve) => server.closeAllConnections() ?? server.close(resolve)));

  const open = (options: Partial<HttpProviderOptions> = {}): EmbeddingProvider => {
    const all = { url, model: 'm', dimension: 2, backoffMs: 1, ...options };
    return name === 'openai' ? openAiProvider({ ...all, apiKey: SECRET }) : ollamaProvider(all);
  };
  /** Answers with each of the handlers in turn, then as usual. */
  const first = (...handlers: readonly Handler[]) => {
    handler = (call, response) => (handlers[asked.length - 1] ?? answer)(call, response);
  };
  const status =
    (code: number, headers: http.OutgoingHttpHeaders = {}): Handler =>
    (_, response) =>
      json(response, { error: TEXT }, code, headers);

  it('asks in batches, and returns one embedding for each text in their order', async () => {
    const provider = open({ batchSize: 2 });

    expect([provider.model, provider.dimension]).toEqual(['m', 2]);
    expect(await provider.embed(['a', 'bb', 'ccc'])).toEqual([
      [1, 1],
      [2, 2],
      [3, 1],
    ]);
    expect(asked.map(({ body }) => body.input)).toEqual([['a', 'bb'], ['ccc']]);
    const path = name === 'openai' ? '/v1/embeddings' : '/v1/api/embed';
    expect(asked[0]).toMatchObject({ path, body: { model: 'm' } });
    expect(asked[0]?.authorization).toBe(name === 'openai' ? `Bearer ${SECRET}` : undefined);
    expect(await provider.embed([])).toEqual([]);
  });

  it('asks less at once when texts are long', async () => {
    await open().embed(['a'.repeat(300_000), 'b'.repeat(200_000), 'c'.repeat(500_000)]);

    expect(asked.map(({ body }) => body.input.length)).toEqual([1, 1, 1]);
  });

  it.each([429, 500, 503, 529])('asks again after the status %i', async (code) => {
    first(status(code), status(code));

    expect(await open().embed(['a'])).toEqual([[1, 1]]);
    expect(asked).toHaveLength(3);
  });

  it('asks again after a connection that breaks', async () => {
    first((_, response) => response.destroy());

    expect(await open().embed(['a'])).toEqual([[1, 1]]);
  });

  it('waits as long as Retry-After says, in seconds or until a date', async () => {
    const date = (at: number) => new Date(at).toUTCString();
    first(
      status(429, { 'retry-after': '1' }),
      // By the clock of the server, whatever it shows.
      status(503, { 'retry-after': date(2_000), date: date(1_000) }),
      status(503, { 'retry-after': 'soon' }),
    );
    const started = performance.now();

    await open().embed(['a']);

    // Timers may fire a millisecond early.
    expect(performance.now() - started).toBeGreaterThanOrEqual(1_990);
    expect(asked).toHaveLength(4);
  });

  it('keeps the rate of its calls', async () => {
    const provider = open({ requestsPerMinute: 3_000, batchSize: 1 });
    const started = performance.now();

    await Promise.all([provider.embed(['a', 'b', 'c']), provider.embed(['d', 'e'])]);

    // Five calls have four intervals of 20 ms between them.
    expect(performance.now() - started).toBeGreaterThanOrEqual(4 * 20 - 5);
  });

  it('fails after its attempts, with the status and without any secret', async () => {
    handler = status(500);
    const error: unknown = await open({ attempts: 3 })
      .embed([TEXT])
      .catch((it) => it);

    expect(error).toMatchObject({ code: 'RAG.PROVIDER_FAILED', meta: { provider: name, status: 500, attempts: 3 } });
    expect(asked).toHaveLength(3);
    for (const secret of [SECRET, TEXT, url]) expect(inspect(error, { depth: 9 })).not.toContain(secret);
  });

  it.each([400, 401, 404, 413])('fails at once with the status %i', async (code) => {
    handler = status(code);

    await expect(open().embed(['a'])).rejects.toMatchObject({ code: 'RAG.PROVIDER_FAILED', meta: { status: code } });
    expect(asked).toHaveLength(1);
  });

  it('does not follow a redirect, which could take the key elsewhere', async () => {
    handler = (_, response) => response.writeHead(307, { location: '/elsewhere' }).end();

    await expect(open({ attempts: 1 }).embed(['a'])).rejects.toMatchObject({ code: 'RAG.PROVIDER_FAILED' });
    expect(asked).toHaveLength(1);
  });

  it('fails when nobody answers in time or listens, and asked as often as it may', async () => {
    handler = () => undefined;
    const silent = open({ timeoutMs: 20, attempts: 2 }).embed(['a']);
    await expect(silent).rejects.toMatchObject({ code: 'RAG.PROVIDER_TIMEOUT', meta: { attempts: 2 } });
    const nobody = open({ url: 'http://127.0.0.1:1', attempts: 2 }).embed(['a']);
    await expect(nobody).rejects.toMatchObject({ code: 'RAG.PROVIDER_FAILED', meta: { status: undefined } });
  });

  it('ends at a signal, also while it waits', async () => {
    const controller = new AbortController();
    first((call, response) => {
      status(429, { 'retry-after': '100' })(call, response);
      response.once('close', () => controller.abort());
    });

    await expect(open().embed(['a'], controller.signal)).rejects.toMatchObject({ name: 'AbortError' });
  });

  it.each([
    ['no JSON', (response: http.ServerResponse) => response.end('hello')],
    ['no embeddings', (response: http.ServerResponse) => json(response, { data: {}, embeddings: 1 })],
    ['too few embeddings', (response: http.ServerResponse) => json(response, { data: [], embeddings: [] })],
    [
      'text in an embedding',
      (response: http.ServerResponse) =>
        json(response, { data: [{ index: 0, embedding: ['1'] }], embeddings: [['1']] }),
    ],
  ])('rejects an answer with %s', async (_, respond) => {
    handler = (_call, response) => respond(response);

    await expect(open().embed(['a'])).rejects.toMatchObject({ code: 'RAG.PROVIDER_ANSWER' });
    expect(asked).toHaveLength(1);
  });

  it('rejects invalid options', async () => {
    const calls = [
      { url: 'ftp://example.com' },
      { url: 'https://user:pass@example.com' },
      { url: 'https://example.com?key=1' },
      { dimension: 0 },
      { batchSize: 0 },
      { attempts: 11 },
      { model: '' },
    ].map(async (options) => open(options));

    expect(await outcomes(calls)).toEqual(Array(7).fill('RAG.INVALID_INPUT'));
  });
});

describe('openAiProvider', () => {
  it('names the space of shortened embeddings after their dimension, and hides its key', () => {
    const options = { url: 'https://example.com', model: 'text-embedding-3-large', dimension: 768, apiKey: SECRET };
    const provider = openAiProvider({ ...options, isShortened: true });

    expect(provider.model).toBe('text-embedding-3-large@768');
    expect(inspect(provider, { depth: 9 })).not.toContain(SECRET);
    expect(() => openAiProvider({ ...options, apiKey: `${SECRET}\n` })).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining(SECRET) }),
    );
  });
});
