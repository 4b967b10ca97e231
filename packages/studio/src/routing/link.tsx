import type { MouseEvent, ReactNode } from 'react';
import { navigate } from './location';

interface LinkProps {
  readonly to: string;
  readonly current?: boolean;
  readonly className?: string;
  readonly children: ReactNode;
}

/** A link within the page; with a modifier key it opens a window as any link does. */
export function Link({ to, current, className, children }: LinkProps): ReactNode {
  const follow = (event: MouseEvent): void => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(to);
  };
  return (
    <a href={to} onClick={follow} className={className} aria-current={current === true ? 'page' : undefined}>
      {children}
    </a>
  );
}
