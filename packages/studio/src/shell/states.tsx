import type { ReactNode } from 'react';
import type { ApiErrorBody } from '../api/answers';
import { nextOf } from '../api/request';

/** What is shown until the first answer. */
export function Loading({ what }: { readonly what: string }): ReactNode {
  return (
    <p className="state" role="status">
      Loading {what}
    </p>
  );
}

/** A failure as the server says it: what, why, what next. */
export function Failure({ body, onRetry }: { readonly body: ApiErrorBody; readonly onRetry?: () => void }): ReactNode {
  const next = nextOf(body);
  return (
    <div className="state state-bad" role="alert">
      <p>
        <strong>{body.message}</strong> <code>{body.code}</code>
      </p>
      {body.why === undefined ? null : <p>{body.why}</p>}
      {next === undefined ? null : <p>{next}</p>}
      {onRetry === undefined ? null : (
        <button type="button" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  );
}
