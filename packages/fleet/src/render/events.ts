import type { ConsumerState, EventsState, SourceState } from '../operations/events/state';
import { countOf } from '../operations/fleet';
import type { ReplayPlan } from '../postgres/events/changes';
import type { DeadLetters } from '../postgres/events/log';
import { durationText } from '../system/quantities';
import { table } from './table';

const RELAY = 'npx azora-db events relay';

/** The outboxes and the consumers as tables, then a line for each one that needs an operator. */
export function eventsText(state: EventsState): string {
  const { sources, consumers, broker } = state;
  const none = broker === null ? 'no consumer has joined the event log' : 'no consumer has subscribed at the broker';
  return [
    table(['outbox', 'not relayed', 'oldest', 'relay', 'relayed', 'last'], sources.map(sourceRow)),
    '',
    consumers.length === 0 ? none : consumersTable(consumers),
    ...sources.flatMap((it) => [...failure(it), ...sourceAttention(it)]),
    ...consumers.flatMap(consumerAttention),
  ].join('\n');
}

/** The part of `azora-db status` about events: the consumers, if there are any, and what needs an operator. */
export function eventsSummary(state: EventsState | null): readonly string[] {
  if (state === null) return [];
  const { sources, consumers, broker } = state;
  return [
    ...(broker?.error ? [`events: ${errorText(broker.error)}`] : []),
    ...(consumers.length === 0 ? [] : [consumersTable(consumers)]),
    ...unrelayedLine(sources.filter(({ standsStill }) => standsStill)),
    ...consumers.flatMap(consumerAttention),
  ];
}

function sourceRow({ service, outbox, isRelayed, relayed, relayedAgoSeconds }: SourceState): readonly string[] {
  return [
    service,
    outbox === null ? 'unknown' : outbox.waiting.toLocaleString('en'),
    ageText(outbox?.oldestSeconds ?? null),
    isRelayed ? 'running' : 'none',
    relayed.toLocaleString('en'),
    relayedAgoSeconds === null ? 'never' : `${ageText(relayedAgoSeconds)} ago`,
  ];
}

function consumersTable(consumers: readonly ConsumerState[]): string {
  const rows = consumers.map((it) => [
    it.name,
    it.lag.toLocaleString('en'),
    ageText(it.lagSeconds),
    String(it.workers),
    String(it.lanesWithoutWorker),
    String(it.parkedKeys),
    String(it.retries),
    String(it.dead),
  ]);
  const head = ['consumer', 'lag', 'oldest', 'workers', 'idle lanes', 'parked keys', 'retries', 'dead letters'];
  return table(head, rows);
}

function failure({ service, error }: SourceState): readonly string[] {
  if (error === null) return [];
  return [`${service}: ${errorText(error)}`];
}

function errorText({ code, message, next }: NonNullable<SourceState['error']>): string {
  return `${message}${next === null ? '' : ` → ${next}`} [${code}]`;
}

function sourceAttention({ service, outbox, isRelayed, standsStill }: SourceState): readonly string[] {
  if (!standsStill || outbox === null) return [];
  const waiting = `${countOf(outbox.waiting, 'event')} in the outbox, the oldest published ${ageText(outbox.oldestSeconds)} ago`;
  if (isRelayed) return [`${service}: ${waiting}, although a relay runs → read the log of the process that runs it`];
  return [`${service}: ${waiting}, and no relay runs → run "${RELAY}"`];
}

function unrelayedLine(sources: readonly SourceState[]): readonly string[] {
  if (sources.length === 0) return [];
  const waiting = sources.reduce((sum, { outbox }) => sum + (outbox?.waiting ?? 0), 0);
  const names = sources.map(({ service }) => service).join(', ');
  return [`events: ${countOf(waiting, 'event')} of ${names} not relayed; run "${RELAY}"`];
}

function consumerAttention(it: ConsumerState): readonly string[] {
  const { name, dead, workers, standsStill, idleSeconds } = it;
  const still = `${name}: events have waited for a worker for ${ageText(idleSeconds)}`;
  const start = workers === 0 ? 'start the service that runs it' : 'read the logs of its workers';
  return [
    ...(standsStill ? [`${still} → ${start}`] : []),
    ...(dead > 0 ? [`${name}: ${countOf(dead, 'dead letter')} → run "npx azora-db events dead list ${name}"`] : []),
  ];
}

/** The dead letters as a table. */
export function deadLettersText({ total, letters }: DeadLetters): string {
  const [first] = letters;
  if (first === undefined) return 'no dead letters';
  const rows = letters.map((it) => [
    it.consumer,
    it.position,
    it.type,
    it.key,
    String(it.attempts),
    it.failedAt.toISOString(),
    it.lastError ?? '',
  ]);
  const more =
    letters.length === total ? [] : [`The first ${letters.length} of ${total.toLocaleString('en')} are listed`];
  return [
    table(['consumer', 'position', 'type', 'key', 'attempts', 'last failed', 'error'], rows),
    ...more,
    `Next: npx azora-db events dead retry ${first.consumer}`,
  ].join('\n');
}

/** What a replay would do, after "This would". */
export function replayAction(consumer: string, { from, events, forgotten, isCut, beyondInbox }: ReplayPlan): string {
  return [
    `deliver ${countOf(events, 'event')} again to ${consumer}, from position ${from} on`,
    forgotten === 0 ? '' : `, and forget ${countOf(forgotten, 'parked event or dead letter')} there`,
    isCut ? '; the log has deleted the events before' : '',
    '; events that its inbox knows have no effect again',
    beyondInbox === 0
      ? ''
      : `, but the inbox may have forgotten ${countOf(beyondInbox, 'event')} of more than 30 days ago`,
  ].join('');
}

function ageText(seconds: number | null): string {
  return seconds === null ? '' : durationText(Math.max(0, seconds) * 1_000);
}
