import { type MouseEvent, type ReactNode, useSyncExternalStore } from 'react';

const CHANGED = 'azora:location';

/** Makes pushState and replaceState send an event, because Studio changes the address with them and the browser sends none. */
export function watchHistory(): void {
  for (const name of ['pushState', 'replaceState'] as const) {
    const original = history[name].bind(history);
    history[name] = (...change: Parameters<History['pushState']>) => {
      original(...change);
      window.dispatchEvent(new Event(CHANGED));
    };
  }
}

function subscribe(onChange: () => void): () => void {
  const events = [CHANGED, 'popstate', 'hashchange'];
  for (const event of events) window.addEventListener(event, onChange);
  return () => {
    for (const event of events) window.removeEventListener(event, onChange);
  };
}

/** The path of the address, as it changes. */
export function usePath(): string {
  return useSyncExternalStore(subscribe, () => location.pathname);
}

/** The hash of the address, as it changes. */
export function useHash(): string {
  return useSyncExternalStore(subscribe, () => location.hash);
}

/** Opens an address of this page without reloading it. */
function navigate(to: string): void {
  const target = new URL(to, location.href);
  // Studio listens for hashchange, which pushState does not send.
  if (target.pathname === location.pathname && target.hash !== '') location.hash = target.hash;
  else history.pushState(null, '', target);
}

interface LinkProps {
  readonly to: string;
  readonly current?: boolean;
  readonly className?: string;
  readonly children: ReactNode;
}

/** A link within the page. With a modifier key the browser handles it as usual, for example in a new tab. */
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
