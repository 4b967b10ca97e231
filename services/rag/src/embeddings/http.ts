import { setTimeout as sleep } from 'node:timers/promises';
import type { SuiteError } from '@azora/db-core';
import { z } from 'zod';
import { providerAnswer, providerFailed, providerTimeout, readInput } from '../errors';
import { dimensionInput } from '../input';
import type { EmbeddingProvider } from './provider';

/** A service that makes embeddings. */
export interface HttpProviderOptions {
  /** The base URL, such as https://api.openai.com/v1 or http://localhost:11434, without a user name and password. */
  readonly url: string;
  readonly model: string;
  /** The number of dimensions of the model's embeddings. */
  readonly dimension: number;
  /** For one call of the service, 1 to 600,000; 30,000 when absent. */
  readonly timeoutMs?: number;
  /** The most texts of one call, 1 to 2,048; 64 when absent. */
  readonly batchSize?: number;
  /** The most calls in a minute; as many as the service takes when absent. */
  readonly requestsPerMinute?: number;
  /** How often a call is made before it fails, 1 to 10; 5 when absent. */
  readonly attempts?: number;
  /** The wait before the second attempt, in milliseconds, which doubles each time; 500 when absent. Retry-After counts more. */
  readonly backoffMs?: number;
}

/** How an API is called and how its answer is read. */
export interface EmbeddingApi {
  /** The name of the service in errors. */
  readonly name: string;
  /** The name of the vector space. */
  readonly space: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bodyOf: (texts: readonly string[]) => unknown;
  readonly answer: z.ZodType<readonly (readonly number[])[]>;
}

const MAX_ANSWER_BYTES = 256_000_000;
const MAX_BATCH_CHARACTERS = 400_000;
const MAX_WAIT_MS = 120_000;
const MINUTE_MS = 60_000;
/** Too many requests, timeouts and errors of the server or of a proxy before it: the same call may succeed later. */
const RETRY_STATUS = new Set([408, 409, 425, 429, 500, 502, 503, 504, 529]);

const urlInput = z
  .string()
  .max(2_000)
  .refine(isHttpUrl, 'is not an http or https URL without a user name, a password, a query and a fragment');
const optionsInput = z.strictObject({
  url: urlInput,
  model: z.string().min(1).max(80),
  dimension: dimensionInput,
  timeoutMs: z.int().min(1).max(600_000).default(30_000),
  batchSize: z.int().min(1).max(2_048).default(64),
  requestsPerMinute: z.number().positive().max(1_000_000).optional(),
  attempts: z.int().min(1).max(10).default(5),
  backoffMs: z.int().min(1).max(60_000).default(500),
});
type Options = z.infer<typeof optionsInput>;

function isHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, search, hash } = new URL(text);
  return ['http:', 'https:'].includes(protocol) && [username, password, search, hash].every((part) => part === '');
}

/**
 * A provider that asks an API for embeddings. Its errors never contain the URL, the headers, a text or what the service returned.
 * @throws {SuiteError} `RAG.INVALID_INPUT`
 */
export function httpProvider(
  options: HttpProviderOptions,
  apiOf: (model: string, dimension: number) => EmbeddingApi,
): EmbeddingProvider {
  const read = readInput(optionsInput, options);
  const api = apiOf(read.model, read.dimension);
  const endpoint = `${read.url.replace(/\/+$/, '')}${api.path}`;
  const pace = paceOf(read.requestsPerMinute);
  return {
    model: api.space,
    dimension: read.dimension,
    async embed(texts, signal) {
      const vectors: (readonly number[])[] = [];
      for (const batch of batchesOf(texts, read.batchSize)) {
        vectors.push(...(await askUntil(api, endpoint, batch, { ...read, pace, signal })));
      }
      return vectors;
    },
  };
}

/** Consecutive texts, at most `size` and 400,000 characters of them; a longer text is alone. */
function* batchesOf(texts: readonly string[], size: number): Generator<readonly string[]> {
  let batch: string[] = [];
  let characters = 0;
  for (const text of texts) {
    if (batch.length === size || (batch.length > 0 && characters + text.length > MAX_BATCH_CHARACTERS)) {
      yield batch;
      batch = [];
      characters = 0;
    }
    batch.push(text);
    characters += text.length;
  }
  if (batch.length > 0) yield batch;
}

type Pace = (signal: AbortSignal | undefined) => Promise<void>;

/** Waits so that calls begin at least a fixed time apart; all callers of a provider share the rate. */
function paceOf(requestsPerMinute: number | undefined): Pace {
  if (requestsPerMinute === undefined) return async () => undefined;
  const apart = MINUTE_MS / requestsPerMinute;
  let next = 0;
  return async (signal) => {
    const now = performance.now();
    const turn = Math.max(now, next);
    next = turn + apart;
    if (turn > now) await sleep(Math.ceil(turn - now), undefined, { signal });
  };
}

/** Why a call failed, and whether another one may succeed. */
interface Failure {
  readonly error: (attempts: number) => SuiteError;
  readonly isFinal: boolean;
  readonly waitMs?: number;
}

class CallFailed extends Error {
  constructor(readonly failure: Failure) {
    super('the call failed');
  }
}

interface Call extends Options {
  readonly pace: Pace;
  readonly signal: AbortSignal | undefined;
}

async function askUntil(
  api: EmbeddingApi,
  endpoint: string,
  texts: readonly string[],
  call: Call,
): Promise<readonly (readonly number[])[]> {
  for (let attempt = 1; ; attempt += 1) {
    await call.pace(call.signal);
    try {
      return await ask(api, endpoint, texts, call);
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      const { failure } = error;
      if (failure.isFinal || attempt === call.attempts) throw failure.error(attempt);
      const backoff = call.backoffMs * 2 ** (attempt - 1) * (0.5 + Math.random() / 2);
      await sleep(Math.min(failure.waitMs ?? backoff, MAX_WAIT_MS), undefined, { signal: call.signal });
    }
  }
}

async function ask(api: EmbeddingApi, endpoint: string, texts: readonly string[], { timeoutMs, signal }: Call) {
  const timeout = AbortSignal.timeout(timeoutMs);
  const body = await exchange(api, endpoint, texts, AbortSignal.any([timeout, ...(signal ? [signal] : [])])).catch(
    (error: unknown) => {
      if (signal?.aborted) throw signal.reason;
      if (error instanceof CallFailed) throw error;
      // What fetch threw can name the URL or a header.
      throw timeout.aborted
        ? new CallFailed({ error: (tried) => providerTimeout(api.name, timeoutMs, tried), isFinal: false })
        : new CallFailed({ error: (tried) => providerFailed(api.name, undefined, tried), isFinal: false });
    },
  );
  return answerOf(api, body, texts.length);
}

/** The body of a successful response. A redirect is an error: it would take the key to another server. */
async function exchange(api: EmbeddingApi, endpoint: string, texts: readonly string[], signal: AbortSignal) {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json', ...api.headers },
    body: JSON.stringify(api.bodyOf(texts)),
    redirect: 'error',
    signal,
  });
  if (!response.ok) {
    await response.body?.cancel();
    const { status } = response;
    const waitMs = retryAfterMs(response.headers);
    throw new CallFailed({
      error: (tried) => providerFailed(api.name, status, tried),
      isFinal: !RETRY_STATUS.has(status),
      ...(waitMs === undefined ? {} : { waitMs }),
    });
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) throw unusable(api, 'is larger than 256 MB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Seconds, or a date, which is measured by the clock of the server that sent it. */
function retryAfterMs(headers: Headers): number | undefined {
  const after = headers.get('retry-after');
  if (after === null) return undefined;
  const wait = /^\d+$/.test(after) ? Number(after) * 1_000 : Date.parse(after) - Date.parse(headers.get('date') ?? '');
  return Number.isFinite(wait) ? Math.max(wait, 0) : undefined;
}

function answerOf(api: EmbeddingApi, body: string, count: number): readonly (readonly number[])[] {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    throw providerAnswer(api.name, 'is not JSON');
  }
  const answer = api.answer.safeParse(json);
  if (!answer.success) throw providerAnswer(api.name, 'has no embeddings where this API puts them');
  if (answer.data.length !== count) {
    throw providerAnswer(api.name, `has ${answer.data.length} embeddings for ${count} texts`);
  }
  return answer.data;
}

function unusable(api: EmbeddingApi, problem: string): CallFailed {
  return new CallFailed({ error: () => providerAnswer(api.name, problem), isFinal: true });
}
