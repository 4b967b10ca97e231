import { useSyncExternalStore } from 'react';

const CHANGED = 'azora:location';

/** Studio writes its place by the history's own functions, which tell nobody: from here on they do. */
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

/** The path of the address, followed as it changes. */
export function usePath(): string {
  return useSyncExternalStore(subscribe, () => location.pathname);
}

/** What stands behind the `#`, followed as it changes. */
export function useHash(): string {
  return useSyncExternalStore(subscribe, () => location.hash);
}

/** Opens an address of this page without loading it anew. */
export function navigate(to: string): void {
  const target = new URL(to, location.href);
  // Studio follows an assigned hash only, not one that comes by pushState.
  if (target.pathname === location.pathname && target.hash !== '') location.hash = target.hash;
  else history.pushState(null, '', target);
}
