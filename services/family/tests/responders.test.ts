/** @server any */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { useDatabase } from '@azora/db-testkit';
import {
  type Conversation,
  deterministicResponder,
  endConversation,
  type Family,
  getConversation,
  listInteractions,
  listMessages,
  ollamaResponder,
  openAiResponder,
  openFamily,
  type Responder,
  say,
  summarizeConversation,
} from '../src';
import { fresh, givenMember, givenStores, givenTalk, idsOf, outcomes } from './given';

const SECRET = 'sk-very-secret';
const SAID = 'I love my garden of marigolds.';

type Handler = (request: http.IncomingMessage, response: http.ServerResponse, body: string) => void;

describe('say', () => {
  const db = useDatabase('family');
  const requests: { path: string; authorization: string | undefined; body: unknown }[] = [];
  let family: Family;
  let handler: Handler = () => undefined;
  let url = '';
  const server = http.createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    requests.push({ path: request.url ?? '', authorization: request.headers.authorization, body: JSON.parse(body) });
    handler(request, response, body);
  });
  beforeAll(async () => {
    family = openFamily({ url: db().url });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  beforeEach(() => {
    requests.length = 0;
  });
  afterAll(async () => {
    server.closeAllConnections();
    server.close();
    await family.close();
  });

  const answerWith =
    (json: unknown, status = 200): Handler =>
    (_, response) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(typeof json === 'string' ? json : JSON.stringify(json));
    };
  const openAi = (timeoutMs = 60_000) =>
    openAiResponder({ url: `${url}/v1/`, model: 'small', apiKey: SECRET, timeoutMs });
  const ask = (talk: Conversation, responder: Responder, more: { readonly signal?: AbortSignal } = {}) =>
    say(family, responder, { ...idsOf(talk), content: SAID, idempotencyKey: 'k', ...more });
  const rolesOf = async (talk: Conversation) =>
    (await listMessages(family, idsOf(talk))).items.map(({ role }) => role).reverse();

  it('answers without a model: in the mood of the conversation, with what fits, the same for the same', async () => {
    const answers: string[] = [];
    for (const _ of [1, 2]) {
      const talk = await givenTalk(family, (await givenMember(family, { slug: 'mama', name: 'Mama' })).id);
      const opened = { ...idsOf(talk), content: 'My cat Simba is ill.', idempotencyKey: 'a' };
      await say(family, deterministicResponder(), opened);
      const asked = { ...idsOf(talk), content: 'What a horrible, sad day for my cat', idempotencyKey: 'b' };
      answers.push((await say(family, deterministicResponder(), asked)).answer.content);
    }

    expect(answers[0]).toBe(answers[1]);
    const kinds = await db().admin('SELECT DISTINCT kind FROM family_interactions WHERE kind = $1', ['encouragement']);
    expect(kinds).toHaveLength(1);
  });

  it('asks an API like OpenAI once, with the key, the model, the temperature and the turns', async () => {
    handler = answerWith({ choices: [{ message: { content: ' Marigolds bloom long. ' } }] });
    const talk = await givenTalk(family, (await givenMember(family, { temperature: 0.3 })).id);
    const exchange = await ask(talk, openAi());

    expect(exchange.answer).toMatchObject({ content: 'Marigolds bloom long.', answers: 1, position: 2 });
    expect(await ask(talk, openAi())).toEqual(exchange);
    expect(requests).toEqual([
      {
        path: '/v1/chat/completions',
        authorization: `Bearer ${SECRET}`,
        body: {
          ...{ model: 'small', temperature: 0.3, stream: false },
          messages: [
            { role: 'system', content: expect.stringContaining('You are') },
            { role: 'user', content: SAID },
          ],
        },
      },
    ]);
  });

  it('asks an Ollama server, without a key', async () => {
    handler = answerWith({ message: { role: 'assistant', content: 'Yes.' } });
    const talk = await givenTalk(family);
    const { answer } = await ask(talk, ollamaResponder({ url, model: 'llama' }));

    expect(answer.content).toBe('Yes.');
    expect(requests).toMatchObject([
      {
        path: '/api/chat',
        authorization: undefined,
        body: { model: 'llama', stream: false, options: { temperature: 0.7 } },
      },
    ]);
  });

  const failures: readonly (readonly [what: string, handler: Handler, code: string])[] = [
    ['is not JSON', answerWith('<html>'), 'ANSWER'],
    ['has no choices', answerWith({ choices: [] }), 'ANSWER'],
    ['has no text', answerWith({ choices: [{ message: { content: null } }] }), 'ANSWER'],
    ['is blank', answerWith({ choices: [{ message: { content: ' ' } }] }), 'ANSWER'],
    ['contains NUL', answerWith({ choices: [{ message: { content: 'a\0b' } }] }), 'ANSWER'],
    ['is too long to store', answerWith({ choices: [{ message: { content: 'x'.repeat(20_001) } }] }), 'ANSWER'],
    ['is larger than 1 MB', answerWith('x'.repeat(1_000_001)), 'ANSWER'],
    ['is HTTP 401 and repeats the key', answerWith({ error: `wrong key ${SECRET}` }, 401), 'FAILED'],
    ['is HTTP 500', answerWith('oops', 500), 'FAILED'],
    [
      'redirects to another server',
      (_, response) => response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end(),
      'FAILED',
    ],
    ['ends in the middle', (_, response) => response.writeHead(200, { 'content-length': '99' }).destroy(), 'FAILED'],
    ['is a reset', (request) => request.socket.destroy(), 'FAILED'],
  ];
  it.each(failures)(
    'keeps the message when the answer %s, and answers it after a repeated call',
    async (_, fault, code) => {
      handler = fault;
      const talk = await givenTalk(family);
      const error = await ask(talk, openAi()).catch((it: unknown) => it);

      expect(error).toMatchObject({ code: `FAMILY.RESPONDER_${code}`, next: expect.stringContaining('') });
      const shown = inspect(error, { depth: 9, showHidden: true });
      for (const secret of [SECRET, url, new URL(url).port, 'marigolds']) expect(shown).not.toContain(secret);
      expect(await rolesOf(talk)).toEqual(['user']);

      handler = answerWith({ choices: [{ message: { content: 'Here I am.' } }] });
      await ask(talk, openAi());
      expect(await rolesOf(talk)).toEqual(['user', 'member']);
    },
  );

  it.each([
    ['that never answers', (() => undefined) as Handler],
    ['that stops in the middle', ((_, response) => response.writeHead(200).write('{"choi')) as Handler],
  ])('gives up on a server %s', async (_, silent) => {
    handler = silent;
    const talk = await givenTalk(family);

    await expect(ask(talk, openAi(50))).rejects.toMatchObject({
      code: 'FAMILY.RESPONDER_TIMEOUT',
      meta: { responder: 'openai', timeoutMs: 50 },
    });
    expect(await rolesOf(talk)).toEqual(['user']);
  });

  it('stops when the caller aborts, with the reason of the caller', async () => {
    const aborting = new AbortController();
    const reason = new Error('The user left');
    handler = () => aborting.abort(reason);
    const talk = await givenTalk(family);

    await expect(ask(talk, openAi(), { signal: aborting.signal })).rejects.toBe(reason);
    expect(await rolesOf(talk)).toEqual(['user']);
  });

  it('reports a server that is not there', async () => {
    const talk = await givenTalk(family);
    const responder = ollamaResponder({ url: 'http://127.0.0.1:1', model: 'llama' });

    await expect(ask(talk, responder)).rejects.toMatchObject({ code: 'FAMILY.RESPONDER_FAILED' });
  });

  it('lets a model summarize', async () => {
    handler = answerWith({ choices: [{ message: { content: 'They spoke of marigolds.' } }] });
    const talk = await givenTalk(family);
    await ask(talk, deterministicResponder());
    const { summary, summarizedTo } = await summarizeConversation(family, openAi(), { ...idsOf(talk), keep: 0 });

    expect([summary, summarizedTo]).toEqual(['They spoke of marigolds.', 2]);
  });

  it('adds one message and one answer when 12 calls of 4 clients race', async () => {
    const stores = givenStores(db(), 4);
    const talk = await givenTalk(family);
    const calls = Array.from({ length: 12 }, (_, n) =>
      say(stores[n % 4] ?? family, deterministicResponder(), { ...idsOf(talk), content: SAID, idempotencyKey: 'k' }),
    );
    const exchanges = await Promise.all(calls);

    expect(new Set(exchanges.map(({ message, answer }) => `${message.id} ${answer.id}`)).size).toBe(1);
    expect(await rolesOf(talk)).toEqual(['user', 'member']);
    expect((await listInteractions(family, { userId: talk.userId })).items).toHaveLength(1);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('does not add the answer to a conversation that ended while the responder worked', async () => {
    const talk = await givenTalk(family);
    const responder: Responder = {
      ...deterministicResponder(),
      respond: async () => {
        await endConversation(family, idsOf(talk));
        return { content: 'Too late' };
      },
    };

    expect(await outcomes([ask(talk, responder)])).toEqual(['FAMILY.CONVERSATION_ENDED']);
    expect((await getConversation(family, idsOf(talk))).messageCount).toBe(1);
  });

  it('routes a message to the member who fits it', async () => {
    const zola = await givenMember(family, { role: 'Data Analyst', background: 'Sees patterns in spreadsheets.' });
    const talk = await givenTalk(family);
    const input = { ...idsOf(talk), content: 'Who reads my spreadsheets?', idempotencyKey: fresh('key') };

    expect((await say(family, deterministicResponder(), { ...input, route: true })).answer.memberId).toBe(zola.id);
  });

  it.each([
    { url: 'ftp://host', model: 'm' },
    { url: `http://user:${SECRET}@host`, model: 'm' },
    { url: `http://host?key=${SECRET}`, model: 'm' },
    { url: 'http://host', model: '' },
    { url: 'http://host', model: 'm', timeoutMs: 0 },
    { url: 'http://host', model: 'm', apiKey: `${SECRET}\n` },
  ])('rejects a responder that cannot work, without showing what was passed', (options) => {
    const open = () => openAiResponder(options);

    expect(open).toThrow(expect.objectContaining({ code: 'FAMILY.INVALID_INPUT' }));
    try {
      open();
    } catch (error) {
      expect(inspect(error, { depth: 9 })).not.toContain(SECRET);
    }
  });
});
