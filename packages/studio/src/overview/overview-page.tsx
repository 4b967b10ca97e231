import type { ReactNode } from 'react';
import type { FleetAnswer, OverviewAnswer } from '../api/answers';
import type { Polled } from '../api/requests';
import { Failure, Loading } from '../shell/states';
import { Charts } from './charts';
import type { Sample } from './samples';
import { LargestTables, ServicesTable, SlowestQueries } from './tables';

interface OverviewPageProps {
  readonly overview: Polled<OverviewAnswer>;
  readonly fleet: FleetAnswer | undefined;
  readonly samples: readonly Sample[];
}

/** The state of all services, updated every few seconds. */
export function OverviewPage({ overview, fleet, samples }: OverviewPageProps): ReactNode {
  const { answer, failure, refresh } = overview;
  return (
    <>
      <div className="page-head">
        <h1>Overview</h1>
        {answer === undefined ? null : (
          <p className="quiet">
            Updated at <time dateTime={answer.at}>{new Date(answer.at).toLocaleTimeString()}</time>, every 5 s
          </p>
        )}
      </div>
      {answer === undefined && failure === undefined ? <Loading what="the overview" /> : null}
      {failure?.kind === 'refused' ? <Failure body={failure.body} onRetry={refresh} /> : null}
      {answer?.services.length === 0 ? <p className="state">This checkout has no services.</p> : null}
      {answer === undefined || answer.services.length === 0 ? null : (
        <>
          {answer.backupError ? (
            <p className="state tone-warn">The backup store cannot be read: {answer.backupError.message}</p>
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
