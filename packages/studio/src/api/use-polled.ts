import { useCallback, useEffect, useRef, useState } from 'react';
import { type Poll, startPoll } from './poll';
import type { RequestFailure } from './request';

/** The newest answer and, when the last request failed, why. Both: an old answer while the server is gone. */
export interface Polled<Answer> {
  readonly answer: Answer | undefined;
  readonly failure: RequestFailure | undefined;
  /** Asks at once, without waiting for the next turn. */
  readonly refresh: () => void;
}

/** What a path answers, read again every so many milliseconds. */
export function usePolled<Answer>(path: string, everyMs: number): Polled<Answer> {
  const [answer, setAnswer] = useState<Answer>();
  const [failure, setFailure] = useState<RequestFailure>();
  const poll = useRef<Poll>(undefined);
  const start = useCallback(() => {
    poll.current?.stop();
    poll.current = startPoll<Answer>(path, everyMs, {
      onFailure: setFailure,
      onAnswer: (newest) => {
        setAnswer(newest);
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
