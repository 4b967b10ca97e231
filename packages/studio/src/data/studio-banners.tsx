import type { ReactNode } from 'react';
import type { Unread } from './introspect-all';

interface StudioBannersProps {
  readonly error: string | undefined;
  readonly unread: readonly Unread[];
  readonly isCut: boolean;
  readonly isStale: boolean;
  readonly onReload: () => void;
  readonly onDismiss: () => void;
}

function unreadText(unread: readonly Unread[]): string {
  const names = unread.map(({ service }) => service).join(', ');
  return `Not shown: ${names}. ${unread[0]?.error.message ?? ''}`;
}

/** What Studio itself shows as an empty table only, or not at all. */
export function StudioBanners({ error, unread, isCut, isStale, onReload, onDismiss }: StudioBannersProps): ReactNode {
  return (
    <>
      {error === undefined ? null : (
        <div role="alert" className="banner banner-bad">
          <span>This failed: {error}</span>
          <button type="button" onClick={onDismiss}>
            Dismiss
          </button>
        </div>
      )}
      {unread.length === 0 ? null : (
        <div role="alert" className="banner banner-warn">
          <span>{unreadText(unread)}</span>
          <button type="button" onClick={onReload}>
            Try again
          </button>
        </div>
      )}
      {isCut ? (
        <div role="status" className="banner banner-warn">
          There are more rows than the studio reads at once: these are the first. LIMIT and OFFSET lead to the others.
        </div>
      ) : null}
      {isStale ? (
        <div role="status" className="banner banner-warn">
          <span>A database is back. Loading it discards edits that are not saved.</span>
          <button type="button" onClick={onReload}>
            Load it
          </button>
        </div>
      ) : null}
    </>
  );
}
