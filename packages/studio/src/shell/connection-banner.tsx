import { type ReactNode, useEffect, useRef, useState } from 'react';
import type { FleetAnswer } from '../api/answers';
import { nextOf } from '../api/request';
import type { Polled } from '../api/use-polled';

const BACK_SHOWN_MS = 4_000;

/** Says that the server is gone, that it knows this window no more, or, for a moment, that it is back. */
export function ConnectionBanner({ fleet }: { readonly fleet: Polled<FleetAnswer> }): ReactNode {
  const { failure } = fleet;
  const isBack = useIsBack(failure !== undefined);
  if (failure === undefined) {
    return (
      <div role="status" className={isBack ? 'banner banner-good' : 'banner-none'}>
        {isBack ? 'The server is back.' : ''}
      </div>
    );
  }
  const next = nextOf(failure.body);
  return (
    <div role="alert" className="banner banner-bad">
      <span>
        {failure.kind === 'gone' ? 'Server gone, reconnecting' : null}
        {failure.kind === 'locked' ? 'This window has no access any more: open the URL that the server printed' : null}
        {failure.kind === 'refused' ? `${failure.body.message}${next === undefined ? '' : `. ${next}`}` : null}
      </span>
      <button type="button" onClick={fleet.refresh}>
        Try now
      </button>
    </div>
  );
}

function useIsBack(isFailing: boolean): boolean {
  const failed = useRef(false);
  const [isBack, setBack] = useState(false);
  useEffect(() => {
    const returned = failed.current && !isFailing;
    failed.current = isFailing;
    setBack(returned);
    if (!returned) return undefined;
    const timer = window.setTimeout(() => setBack(false), BACK_SHOWN_MS);
    return () => window.clearTimeout(timer);
  }, [isFailing]);
  return isBack;
}
