import type { ApiErrorBody } from './answers';

/** Why there is no answer: `gone` when nobody answers, `locked` when the server does not know this window. */
export type FailureKind = 'gone' | 'locked' | 'refused';

/** A request that brought no answer, with what the server says of it. */
export class RequestFailure extends Error {
  constructor(
    readonly kind: FailureKind,
    readonly body: ApiErrorBody,
  ) {
    super(body.message);
  }
}

const GONE: ApiErrorBody = { code: 'STUDIO.GONE', message: 'The studio server does not answer' };
const ANSWER_TIMEOUT_MS = 30_000;

function isErrorAnswer(value: unknown): value is { readonly error: ApiErrorBody } {
  return typeof value === 'object' && value !== null && 'error' in value && typeof value.error === 'object';
}

async function failureOf(response: Response): Promise<RequestFailure> {
  const answer: unknown = await response.json().catch(() => null);
  const plain = { code: `HTTP.${response.status}`, message: `The studio server answered ${response.status}` };
  const body = isErrorAnswer(answer) ? answer.error : plain;
  return new RequestFailure(response.status === 401 ? 'locked' : 'refused', body);
}

/**
 * Reads one answer of the studio server.
 * @throws {RequestFailure}
 */
export async function getAnswer<Answer>(path: string, signal?: AbortSignal): Promise<Answer> {
  const timeout = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  const response = await fetch(path, {
    headers: { accept: 'application/json' },
    signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
  }).catch(() => {
    throw new RequestFailure('gone', GONE);
  });
  if (!response.ok) throw await failureOf(response);
  return (await response.json().catch(() => {
    throw new RequestFailure('gone', GONE);
  })) as Answer;
}

/** What to do next, as text, whichever way the server says it. */
export function nextOf(body: ApiErrorBody): string | undefined {
  return typeof body.next === 'object' ? body.next.label : body.next;
}
