import { getAnswer, RequestFailure } from './request';
import { retryDelay } from './retry-delay';

interface PollReport<Answer> {
  readonly onAnswer: (answer: Answer) => void;
  readonly onFailure: (failure: RequestFailure) => void;
}

/** A path that is read again and again until it is stopped. */
export interface Poll {
  readonly stop: () => void;
}

function asFailure(error: unknown): RequestFailure {
  if (error instanceof RequestFailure) return error;
  return new RequestFailure('refused', { code: 'STUDIO.PAGE', message: String(error) });
}

/** Reads a path again and again, slower while it fails, and by itself faster again when it answers. */
export function startPoll<Answer>(path: string, everyMs: number, report: PollReport<Answer>): Poll {
  const stopped = new AbortController();
  let timer: number | undefined;
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
    timer = window.setTimeout(() => void ask(), failures === 0 ? everyMs : retryDelay(failures));
  };
  void ask();
  return {
    stop: () => {
      stopped.abort();
      window.clearTimeout(timer);
    },
  };
}
