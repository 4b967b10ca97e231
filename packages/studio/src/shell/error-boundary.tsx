import { Component, type ReactNode } from 'react';
import { Failure } from './states';

interface BoundaryState {
  readonly failed: string | undefined;
}

/** Keeps the services at the side when a page cannot be drawn or loaded; React knows this as a class only. */
export class ErrorBoundary extends Component<{ readonly children: ReactNode }, BoundaryState> {
  override state: BoundaryState = { failed: undefined };

  static getDerivedStateFromError(error: unknown): BoundaryState {
    return { failed: String(error) };
  }

  override render(): ReactNode {
    const { failed } = this.state;
    if (failed === undefined) return this.props.children;
    const body = { code: 'STUDIO.PAGE', message: 'This page could not be shown', why: failed };
    return <Failure body={body} onRetry={() => location.reload()} />;
  }
}
