import { useCallback, useEffect, useRef, useState } from 'react';
import type { ApiErrorBody } from './answers';
import { studioFetch } from './studio-fetch';

/** Why there is no answer: `gone` when the server does not answer, `locked` when it does not know this browser. */
export type FailureKind = 'gone' | 'locked' | 'refused';

/** A request without an answer, and how the server describes the error. */
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

/**
 * Reads one answer of the studio server.
 * @throws {RequestFailure}
 */
export async function getAnswer<Answer>(path: string, signal?: AbortSignal): Promise<Answer> {
  return ask(path, { headers: { accept: 'application/json' } }, signal);
}

/**
 * Sends a change to the studio server, and reads its answer.
 * @throws {RequestFailure}
 */
export async function postChange<Answer>(path: string, change: unknown): Promise<Answer> {
  const headers = { accept: 'application/json', 'content-type': 'application/json' };
  return ask(path, { method: 'POST', headers, body: JSON.stringify(change) });
}

async function ask<Answer>(path: string, request: RequestInit, signal?: AbortSignal): Promise<Answer> {
  const timeout = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  const response = await studioFetch(path, {
    ...request,
    signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
  }).catch(() => {
    throw new RequestFailure('gone', GONE);
  });
  if (!response.ok) throw await failureOf(response);
  return (await response.json().catch(() => {
    throw new RequestFailure('gone', GONE);
  })) as Answer;
}

async function failureOf(response: Response): Promise<RequestFailure> {
  const answer: unknown = await response.json().catch(() => null);
  const plain = {
    code: `HTTP.${response.status}`,
    message: `The studio server answered with status ${response.status}`,
  };
  const body = isErrorAnswer(answer) ? answer.error : plain;
  return new RequestFailure(response.status === 401 ? 'locked' : 'refused', body);
}

function isErrorAnswer(value: unknown): value is { readonly error: ApiErrorBody } {
  return typeof value === 'object' && value !== null && 'error' in value && typeof value.error === 'object';
}

/** Returns what was thrown as a failure that the page can show; anything else than a failed request is a bug. */
export function asFailure(error: unknown): RequestFailure {
  if (error instanceof RequestFailure) return error;
  return new RequestFailure('refused', { code: 'STUDIO.PAGE', message: String(error) });
}

/** The latest answer and, if the last request failed, its failure: both while the server is gone. */
export interface Polled<Answer> {
  readonly answer: Answer | undefined;
  readonly failure: RequestFailure | undefined;
  /** Asks now, instead of at the end of the interval. */
  readonly refresh: () => void;
}

/** Reads a path every `everyMs` milliseconds. */
export function usePolled<Answer>(path: string, everyMs: number): Polled<Answer> {
  const [answer, setAnswer] = useState<Answer>();
  const [failure, setFailure] = useState<RequestFailure>();
  const poll = useRef<Poll>(undefined);
  const start = useCallback(() => {
    poll.current?.stop();
    poll.current = startPoll<Answer>(path, everyMs, {
      onFailure: setFailure,
      onAnswer: (latest) => {
        setAnswer(latest);
        setFailure(undefined);
      },
    });
  }, [path, everyMs]);
  useEffect(() => {
    start();
    return () => poll.current?.stop();
  }, [start]);
  return { answer, failure, refresh: start };
}

interface Poll {
  readonly stop: () => void;
}

interface PollReport<Answer> {
  readonly onAnswer: (answer: Answer) => void;
  readonly onFailure: (failure: RequestFailure) => void;
}

function startPoll<Answer>(path: string, everyMs: number, report: PollReport<Answer>): Poll {
  const stopped = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  const ask = async (): Promise<void> => {
    const outcome = await getAnswer<Answer>(path, stopped.signal).then(
      (answer) => ({ answer }),
      (error: unknown) => ({ failure: asFailure(error) }),
    );
    if (stopped.signal.aborted) return;
    failures = 'failure' in outcome ? failures + 1 : 0;
    if ('failure' in outcome) report.onFailure(outcome.failure);
    else report.onAnswer(outcome.answer);
    timer = setTimeout(() => void ask(), failures === 0 ? everyMs : retryDelayMs(failures));
  };
  void ask();
  return {
    stop: () => {
      stopped.abort();
      clearTimeout(timer);
    },
  };
}

const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 15_000;

/** The delay after this many failures in a row. */
export function retryDelayMs(failures: number): number {
  return Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), LONGEST_RETRY_MS);
}
