import { Component, type ReactNode } from 'react';
import type { ApiErrorBody } from '../api/answers';

/** Shown until the first answer. */
export function Loading({ what }: { readonly what: string }): ReactNode {
  return (
    <p className="state" role="status">
      Loading {what}…
    </p>
  );
}

/** An error with its reason and the next step, as the server describes it. */
export function Failure({ body, onRetry }: { readonly body: ApiErrorBody; readonly onRetry?: () => void }): ReactNode {
  return (
    <div className="state state-bad" role="alert">
      <p>
        <strong>{body.message}</strong> <code>{body.code}</code>
      </p>
      {body.why === undefined ? null : <p>{body.why}</p>}
      {body.next === undefined ? null : <p>{body.next}</p>}
      {onRetry === undefined ? null : (
        <button type="button" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  );
}

interface BoundaryState {
  readonly failed: string | undefined;
}

/** Keeps the sidebar when a page fails to load or to render. React supports error boundaries as classes only. */
export class ErrorBoundary extends Component<{ readonly children: ReactNode }, BoundaryState> {
  override state: BoundaryState = { failed: undefined };

  static getDerivedStateFromError(error: unknown): BoundaryState {
    return { failed: String(error) };
  }

  override render(): ReactNode {
    const { failed } = this.state;
    if (failed === undefined) return this.props.children;
    const body = { code: 'STUDIO.PAGE', message: 'This page cannot be displayed', why: failed };
    return <Failure body={body} onRetry={() => location.reload()} />;
  }
}
