import type { ReactNode } from 'react';
import type { FleetAnswer, OverviewAnswer } from '../api/answers';
import type { Polled } from '../api/use-polled';
import { Failure, Loading } from '../shell/states';
import { Charts } from './charts';
import { LargestTables } from './largest-tables';
import { ServicesTable } from './services-table';
import { SlowestQueries } from './slowest-queries';
import type { Sample } from './use-overview-history';

interface OverviewPageProps {
  readonly overview: Polled<OverviewAnswer>;
  readonly fleet: FleetAnswer | undefined;
  readonly samples: readonly Sample[];
}

/** The fleet at a glance, refreshed by itself. */
export function OverviewPage({ overview, fleet, samples }: OverviewPageProps): ReactNode {
  const { answer, failure, refresh } = overview;
  return (
    <>
      <div className="page-head">
        <h1>Overview</h1>
        {answer === undefined ? null : (
          <p className="quiet">
            Read <time dateTime={answer.at}>{new Date(answer.at).toLocaleTimeString()}</time>, again every 5 s
          </p>
        )}
      </div>
      {answer === undefined && failure === undefined ? <Loading what="the overview" /> : null}
      {failure?.kind === 'refused' ? <Failure body={failure.body} onRetry={refresh} /> : null}
      {answer?.services.length === 0 ? <p className="state">This checkout has no service.</p> : null}
      {answer === undefined || answer.services.length === 0 ? null : (
        <>
          {answer.backupError ? (
            <p className="state tone-warn">Nothing is known of backups: {answer.backupError.message}</p>
          ) : null}
          <Charts samples={samples} />
          <ServicesTable overview={answer} fleet={fleet} />
          <LargestTables overview={answer} />
          <SlowestQueries overview={answer} />
        </>
      )}
    </>
  );
}
