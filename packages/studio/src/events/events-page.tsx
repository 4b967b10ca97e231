import type { ReactNode } from 'react';
import type { ConsumerState, EventsAnswer, OutboxState } from '../api/answers';
import { usePolled } from '../api/requests';
import { formatCount, formatDuration } from '../shell/format';
import { numberColumn, ScrollingTable, textColumn } from '../shell/scrolling-table';
import { Failure, Loading } from '../shell/states';
import { DeadLetters } from './dead-letters';

const EVERY_MS = 5_000;

/** The outboxes with their relays, the consumers with their lag, and the dead letters. */
export function EventsPage(): ReactNode {
  const { answer, failure, refresh } = usePolled<EventsAnswer>('/api/events', EVERY_MS);
  return (
    <>
      <div className="page-head">
        <h1>Events</h1>
        {answer === undefined ? null : (
          <p className="quiet">
            Updated at <time dateTime={answer.at}>{new Date(answer.at).toLocaleTimeString()}</time>, every 5 s
          </p>
        )}
      </div>
      {answer === undefined && failure === undefined ? <Loading what="the events" /> : null}
      {failure?.kind === 'refused' ? <Failure body={failure.body} onRetry={refresh} /> : null}
      {answer === undefined ? null : (
        <>
          <Outboxes sources={answer.sources} />
          <Consumers consumers={answer.consumers} />
          <DeadLetters
            letters={answer.deadLetters}
            total={answer.deadLettersTotal}
            canChange={answer.write}
            onChange={refresh}
          />
        </>
      )}
    </>
  );
}

const SOURCE_COLUMNS = [
  ...['Service', 'Relay'].map(textColumn),
  ...['Not relayed', 'Oldest', 'Relayed', 'Last relayed'].map(numberColumn),
];

function Outboxes({ sources }: { readonly sources: readonly OutboxState[] }): ReactNode {
  return (
    <section aria-labelledby="outboxes-title">
      <h2 id="outboxes-title">Outboxes</h2>
      {sources.some(({ standsStill, isRelayed }) => standsStill && !isRelayed) ? (
        <p className="state tone-warn">
          Events wait, and no relay runs. Start one: <code>npx azora-db events relay</code>
        </p>
      ) : null}
      <ScrollingTable labelledBy="outboxes-title" columns={SOURCE_COLUMNS}>
        {sources.map((source) => (
          <SourceRow key={source.service} source={source} />
        ))}
      </ScrollingTable>
    </section>
  );
}

function SourceRow({ source }: { readonly source: OutboxState }): ReactNode {
  const { service, outbox, isRelayed, relayed, relayedAgoSeconds, standsStill, error } = source;
  const tone = standsStill ? 'tone-warn' : undefined;
  return (
    <tr>
      <th scope="row">{service}</th>
      {error === null ? (
        <>
          <td className={tone}>{relayWords(source)}</td>
          <td className="number">{formatCount(outbox?.waiting)}</td>
          <td className="number">{formatDuration(outbox?.oldestSeconds)}</td>
          <td className="number">{formatCount(relayed)}</td>
          <td className="number">
            {relayedAgoSeconds === null ? 'never' : `${formatDuration(relayedAgoSeconds)} ago`}
          </td>
        </>
      ) : (
        <td colSpan={SOURCE_COLUMNS.length - 1} className={isRelayed ? 'tone-warn' : 'tone-bad'}>
          {error.message} <code>{error.code}</code>
        </td>
      )}
    </tr>
  );
}

function relayWords({ isRelayed, standsStill }: OutboxState): string {
  if (isRelayed) return standsStill ? 'running, events wait' : 'running';
  return standsStill ? 'none, events wait' : 'none';
}

const CONSUMER_COLUMNS = [
  ...['Consumer', 'State'].map(textColumn),
  ...['Lag', 'Oldest', 'Workers', 'Idle lanes', 'Parked keys', 'Retries', 'Dead letters'].map(numberColumn),
];

function Consumers({ consumers }: { readonly consumers: readonly ConsumerState[] }): ReactNode {
  return (
    <section aria-labelledby="consumers-title">
      <h2 id="consumers-title">Consumers</h2>
      {consumers.length === 0 ? (
        <p className="quiet">No consumer has joined the event log.</p>
      ) : (
        <ScrollingTable labelledBy="consumers-title" columns={CONSUMER_COLUMNS}>
          {consumers.map((consumer) => (
            <ConsumerRow key={consumer.name} consumer={consumer} />
          ))}
        </ScrollingTable>
      )}
    </section>
  );
}

function ConsumerRow({ consumer }: { readonly consumer: ConsumerState }): ReactNode {
  const { name, lag, lagSeconds, workers, lanesWithoutWorker, parkedKeys, retries, dead } = consumer;
  return (
    <tr>
      <th scope="row">{name}</th>
      <td className={`tone-${toneOf(consumer)}`}>{stateWords(consumer)}</td>
      <td className="number">{formatCount(lag)}</td>
      <td className="number">{formatDuration(lagSeconds)}</td>
      <td className="number">{formatCount(workers)}</td>
      <td className="number">{formatCount(lanesWithoutWorker)}</td>
      <td className="number">{formatCount(parkedKeys)}</td>
      <td className="number">{formatCount(retries)}</td>
      <td className={dead > 0 ? 'number tone-warn' : 'number'}>{formatCount(dead)}</td>
    </tr>
  );
}

function toneOf({ standsStill, workers }: ConsumerState): 'good' | 'warn' | 'bad' {
  if (standsStill) return 'bad';
  return workers === 0 ? 'warn' : 'good';
}

function stateWords({ standsStill, workers, lag }: ConsumerState): string {
  if (standsStill) return 'stands still';
  if (workers === 0) return 'no worker';
  return lag === 0 ? 'up to date' : 'working';
}
