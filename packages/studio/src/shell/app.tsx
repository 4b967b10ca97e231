import { lazy, type ReactNode, Suspense, useEffect, useRef } from 'react';
import type { FleetAnswer, OverviewAnswer } from '../api/answers';
import { type Polled, usePolled } from '../api/use-polled';
import { OverviewPage } from '../overview/overview-page';
import { useOverviewHistory } from '../overview/use-overview-history';
import { usePath } from '../routing/location';
import { ConnectionBanner } from './connection-banner';
import { ErrorBoundary } from './error-boundary';
import { Sidebar } from './sidebar';
import { Failure, Loading } from './states';

const DataPage = lazy(async () => ({ default: (await import('../data/data-page')).DataPage }));
const ModelsPage = lazy(async () => ({ default: (await import('../models/models-page')).ModelsPage }));

const FLEET_EVERY_MS = 5_000;
const OVERVIEW_EVERY_MS = 5_000;
// The charts have no hole when the overview is opened again, and a window elsewhere asks little.
const OVERVIEW_ELSEWHERE_EVERY_MS = 20_000;

const TITLES: Readonly<Record<string, string>> = { '/': 'Overview', '/data': 'Data', '/models': 'Models' };

/** The whole page: the services at the side, one of three pages beside them. */
export function App(): ReactNode {
  const path = usePath();
  const fleet = usePolled<FleetAnswer>('/api/fleet', FLEET_EVERY_MS);
  const overview = usePolled<OverviewAnswer>(
    '/api/overview',
    path === '/' ? OVERVIEW_EVERY_MS : OVERVIEW_ELSEWHERE_EVERY_MS,
  );
  const samples = useOverviewHistory(overview.answer, fleet.answer);
  const main = useFocusOnMove(path);
  // The skip link is a button: an own `#main` in the address would be read by Studio as its place.
  return (
    <div className="shell">
      <button type="button" className="skip" onClick={() => main.current?.focus()}>
        Skip to the content
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
  if (path === '/') return <OverviewPage overview={overview} fleet={fleet.answer} samples={samples} />;
  if (path !== '/data') return <p className="state">There is no such page. Choose one at the side.</p>;
  if (fleet.answer?.services.length === 0) return <p className="state">This checkout has no service.</p>;
  if (fleet.answer !== undefined) return <DataPage fleet={fleet.answer} gone={fleet.failure !== undefined} />;
  return fleet.failure === undefined ? <Loading what="the services" /> : <Failure body={fleet.failure.body} />;
}

/** Another page has its title, and reading goes on in it, not in the link that opened it. */
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
