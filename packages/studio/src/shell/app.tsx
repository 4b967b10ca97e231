import { lazy, type ReactNode, Suspense, useEffect, useRef, useState } from 'react';
import type { FleetAnswer, OverviewAnswer } from '../api/answers';
import { type Polled, usePolled } from '../api/requests';
import { OverviewPage } from '../overview/overview-page';
import { useOverviewHistory } from '../overview/samples';
import { usePath } from '../routing/navigation';
import { Sidebar } from './sidebar';
import { ErrorBoundary, Failure, Loading } from './states';

const EventsPage = lazy(async () => ({ default: (await import('../events/events-page')).EventsPage }));
const DataPage = lazy(async () => ({ default: (await import('../data/data-page')).DataPage }));
const ModelsPage = lazy(async () => ({ default: (await import('../models/models-page')).ModelsPage }));

const FLEET_EVERY_MS = 5_000;
const OVERVIEW_EVERY_MS = 5_000;
// Other pages poll too, less often, so that the charts have no gap.
const OVERVIEW_ELSEWHERE_EVERY_MS = 20_000;

const TITLES: Readonly<Record<string, string>> = {
  '/': 'Overview',
  '/data': 'Data',
  '/models': 'Models',
  '/events': 'Events',
};

/** The whole window: the sidebar and one of four pages. */
export function App(): ReactNode {
  const path = usePath();
  const fleet = usePolled<FleetAnswer>('/api/fleet', FLEET_EVERY_MS);
  const overview = usePolled<OverviewAnswer>(
    '/api/overview',
    path === '/' ? OVERVIEW_EVERY_MS : OVERVIEW_ELSEWHERE_EVERY_MS,
  );
  const samples = useOverviewHistory(overview.answer, fleet.answer);
  const main = useFocusOnMove(path);
  // The skip link is a button: Studio would read a #main in the address as its own state.
  return (
    <div className="shell">
      <button type="button" className="skip" onClick={() => main.current?.focus()}>
        Skip to main content
      </button>
      <Sidebar path={path} fleet={fleet} />
      <div className="beside">
        <ConnectionBanner fleet={fleet} />
        <main id="main" ref={main} tabIndex={-1} className={path === '/data' ? 'main main-full' : 'main'}>
          <ErrorBoundary key={path}>
            <Suspense fallback={<Loading what="the page" />}>
              <Page path={path} fleet={fleet} overview={overview} samples={samples} />
            </Suspense>
          </ErrorBoundary>
        </main>
      </div>
    </div>
  );
}

interface PageProps {
  readonly path: string;
  readonly fleet: Polled<FleetAnswer>;
  readonly overview: Polled<OverviewAnswer>;
  readonly samples: ReturnType<typeof useOverviewHistory>;
}

function Page({ path, fleet, overview, samples }: PageProps): ReactNode {
  if (path === '/models') return <ModelsPage />;
  if (path === '/events') return <EventsPage />;
  if (path === '/') return <OverviewPage overview={overview} fleet={fleet.answer} samples={samples} />;
  if (path !== '/data') return <p className="state">Page not found. Choose a page in the sidebar.</p>;
  if (fleet.answer?.services.length === 0) return <p className="state">This checkout has no services.</p>;
  if (fleet.answer !== undefined) return <DataPage fleet={fleet.answer} gone={fleet.failure !== undefined} />;
  return fleet.failure === undefined ? <Loading what="the services" /> : <Failure body={fleet.failure.body} />;
}

/** After a move to another page, sets the title and moves the focus from the link to the page. */
function useFocusOnMove(path: string): React.RefObject<HTMLElement | null> {
  const main = useRef<HTMLElement>(null);
  const before = useRef(path);
  useEffect(() => {
    document.title = `${TITLES[path] ?? 'Not found'} · Azora databases`;
    if (before.current !== path) main.current?.focus();
    before.current = path;
  }, [path]);
  return main;
}

const RECONNECTED_SHOWN_MS = 4_000;

/** Says that the server does not answer or no longer knows this browser, and for a moment that it is back. */
function ConnectionBanner({ fleet }: { readonly fleet: Polled<FleetAnswer> }): ReactNode {
  const { failure } = fleet;
  const isReconnected = useIsReconnected(failure !== undefined);
  if (failure === undefined) {
    return (
      <div role="status" className={isReconnected ? 'banner banner-good' : 'banner-none'}>
        {isReconnected ? 'Reconnected to the server.' : ''}
      </div>
    );
  }
  const { kind, body } = failure;
  return (
    <div role="alert" className="banner banner-bad">
      <span>
        {kind === 'gone' ? 'The server does not answer. Reconnecting…' : null}
        {kind === 'locked' ? 'This window has lost access. Open the URL that the server printed.' : null}
        {kind === 'refused' ? `${body.message}${body.next === undefined ? '' : `. ${body.next}`}` : null}
      </span>
      <button type="button" onClick={fleet.refresh}>
        Retry now
      </button>
    </div>
  );
}

function useIsReconnected(isFailing: boolean): boolean {
  const failed = useRef(false);
  const [isReconnected, setReconnected] = useState(false);
  useEffect(() => {
    const returned = failed.current && !isFailing;
    failed.current = isFailing;
    setReconnected(returned);
    if (!returned) return undefined;
    const timer = window.setTimeout(() => setReconnected(false), RECONNECTED_SHOWN_MS);
    return () => window.clearTimeout(timer);
  }, [isFailing]);
  return isReconnected;
}
