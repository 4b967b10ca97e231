import { z } from 'zod';
import type { Turn } from '../context/prompt';
import { readInput, responderAnswer, responderFailed, responderTimeout } from '../errors';
import { contentText } from '../input';
import type { Message } from '../rows';
import type { Responder, RespondOptions } from './responder';

/** A service that answers chats. */
export interface HttpResponderOptions {
  /** The base URL, such as https://api.openai.com/v1 or http://localhost:11434, without a user name and password. */
  readonly url: string;
  readonly model: string;
  /** 1 to 600,000; 30,000 when absent. */
  readonly timeoutMs?: number;
}

/** How an API is called and how its answer is read. */
export interface ChatApi {
  /** The name of the responder in errors. */
  readonly name: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bodyOf: (turns: readonly Turn[], temperature: number) => unknown;
  /** Where the text of an answer stands. */
  readonly answer: z.ZodType<string>;
}

/** Longer than any answer that can be stored. */
const MAX_ANSWER_BYTES = 1_000_000;
const SUMMARY_TEMPERATURE = 0.2;

const urlInput = z
  .string()
  .max(2_000)
  .refine(isHttpUrl, 'is not an http or https URL without a user name, a password, a query and a fragment');
const optionsInput = z.strictObject({
  url: urlInput,
  model: z.string().min(1).max(200),
  timeoutMs: z.int().min(1).max(600_000).default(30_000),
});

function isHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, search, hash } = new URL(text);
  return ['http:', 'https:'].includes(protocol) && [username, password, search, hash].every((part) => part === '');
}

/**
 * A responder that asks an API for chats. Its errors never contain the URL, the headers, the prompt or what the service returned.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`
 */
export function httpResponder(options: HttpResponderOptions, apiOf: (model: string) => ChatApi): Responder {
  const { url, model, timeoutMs } = readInput(optionsInput, options);
  const api = apiOf(model);
  const endpoint = `${url.replace(/\/+$/, '')}${api.path}`;
  const ask = (turns: readonly Turn[], temperature: number, { signal }: RespondOptions = {}) =>
    post(api, endpoint, api.bodyOf(turns, temperature), timeoutMs, signal);
  return {
    respond: async ({ turns, member }, options) => ({ content: await ask(turns, member.temperature, options) }),
    summarize: (earlier, messages, options) => ask(summaryTurns(earlier, messages), SUMMARY_TEMPERATURE, options),
  };
}

function summaryTurns(earlier: string | null, messages: readonly Message[]): readonly Turn[] {
  const lines = messages.map(({ role, content }) => `${role}: ${content}`);
  return [
    {
      role: 'system',
      content: 'Summarize the conversation in at most ten sentences. Keep names, dates, facts and plans.',
    },
    { role: 'user', content: [...(earlier === null ? [] : [`So far: ${earlier}`]), ...lines].join('\n') },
  ];
}

async function post(
  api: ChatApi,
  endpoint: string,
  body: unknown,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<string> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const text = await exchange(api, endpoint, body, AbortSignal.any([timeout, ...(signal ? [signal] : [])])).catch(
    (error: unknown) => {
      if (signal?.aborted) throw signal.reason;
      if (timeout.aborted) throw responderTimeout(api.name, timeoutMs);
      if (error instanceof Refusal) throw error.reason;
      // What fetch threw can name the URL or a header.
      throw responderFailed(api.name, undefined);
    },
  );
  return answerOf(api, text);
}

/** Carries an error of this file past the ones of fetch. */
class Refusal extends Error {
  constructor(readonly reason: Error) {
    super('refused');
  }
}

/** The body of a successful response. A redirect is an error: it would take the key to another server. */
async function exchange(api: ChatApi, endpoint: string, body: unknown, signal: AbortSignal): Promise<string> {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json', ...api.headers },
    body: JSON.stringify(body),
    redirect: 'error',
    signal,
  });
  if (!response.ok) {
    await response.body?.cancel();
    throw new Refusal(responderFailed(api.name, response.status));
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) throw new Refusal(responderAnswer(api.name, 'is larger than 1 MB'));
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function answerOf(api: ChatApi, text: string): string {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw responderAnswer(api.name, 'is not JSON');
  }
  const answer = api.answer.safeParse(json);
  if (!answer.success) throw responderAnswer(api.name, 'has no text where this API puts it');
  const content = contentText.safeParse(answer.data.trim());
  if (!content.success) throw responderAnswer(api.name, 'is blank, longer than 20000 characters, or not valid Unicode');
  return content.data;
}
