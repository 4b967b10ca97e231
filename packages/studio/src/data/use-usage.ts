import { useCallback, useEffect, useRef, useState } from 'react';
import type { ApiErrorBody, UsageAnswer } from '../api/answers';
import { getAnswer, RequestFailure } from '../api/request';

/** A column and the value that is looked for wherever that column is referenced. */
export interface UsageQuestion {
  readonly service: string;
  readonly table: string;
  readonly column: string;
  readonly value: string;
}

export type UsageOutcome =
  | { readonly kind: 'asking' }
  | { readonly kind: 'failed'; readonly body: ApiErrorBody }
  | { readonly kind: 'found'; readonly question: UsageQuestion; readonly answer: UsageAnswer };

async function outcomeOf(question: UsageQuestion, signal: AbortSignal): Promise<UsageOutcome> {
  const { service, ...search } = question;
  const path = `/api/services/${encodeURIComponent(service)}/usage?${new URLSearchParams(search)}`;
  try {
    return { kind: 'found', question, answer: await getAnswer<UsageAnswer>(path, signal) };
  } catch (error) {
    const body = error instanceof RequestFailure ? error.body : { code: 'STUDIO.PAGE', message: String(error) };
    return { kind: 'failed', body };
  }
}

/** Asks the usage API; a new question takes the place of one that is not answered yet. */
export function useUsage(): {
  readonly outcome: UsageOutcome | undefined;
  readonly ask: (question: UsageQuestion) => Promise<void>;
} {
  const [outcome, setOutcome] = useState<UsageOutcome>();
  const running = useRef<AbortController>(undefined);
  useEffect(() => () => running.current?.abort(), []);
  const ask = useCallback(async (question: UsageQuestion) => {
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    setOutcome({ kind: 'asking' });
    const found = await outcomeOf(question, controller.signal);
    if (!controller.signal.aborted) setOutcome(found);
  }, []);
  return { outcome, ask };
}
