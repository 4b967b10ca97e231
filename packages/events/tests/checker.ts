/**
 * What happened to events, as the databases recorded it. All `lsn` are places in the WAL of one server, which orders what
 * happened in its databases without a clock. Each is taken as the last act of a transaction before its commit.
 */
export interface History {
  /** What the publishers committed, from a table of their own and not from the outbox. */
  readonly published: readonly Published[];
  /** The rows of the log. */
  readonly appended: readonly Appended[];
  /** The effects that the consumers committed. */
  readonly handled: readonly Handled[];
  /** For each consumer and event, the first time that the log regarded it as done. */
  readonly acknowledged: readonly Acknowledged[];
  /** The leases of lanes that passed from one worker to another. */
  readonly takeovers: readonly Takeover[];
}

export interface Published {
  readonly id: string;
  readonly key: string;
  /** The number of the event among those of its key, in the order in which their transactions held the lock of the key. */
  readonly number: number;
  readonly lsn: bigint;
}

export interface Appended {
  readonly id: string;
  readonly key: string;
  readonly position: bigint;
}

export interface Handled {
  readonly consumer: string;
  readonly id: string;
  readonly key: string;
  /** The version of the consumer's row for the key that this effect made. */
  readonly version: number;
  readonly lsn: bigint;
}

export interface Acknowledged {
  readonly consumer: string;
  readonly id: string;
  readonly lsn: bigint;
}

export interface Takeover {
  readonly consumer: string;
  readonly lane: number;
  /** When the new owner took the lane, and until when the old owner had it. The database's time, in milliseconds. */
  readonly takenAt: number;
  readonly leasedUntil: number;
}

/** What a rule of delivery says was broken. */
export type Rule =
  | 'lost'
  | 'doubled'
  | 'never published'
  | 'out of order'
  | 'handled before published'
  | 'acknowledged before handled'
  | 'lease taken early';

export interface Finding {
  readonly rule: Rule;
  readonly detail: string;
}

/** Judges the history after all consumers have caught up. Returns each broken rule with the event or lane. */
export function judge(history: History, consumers: readonly string[]): readonly Finding[] {
  return [
    ...judgeLog(history),
    ...consumers.flatMap((consumer) => judgeConsumer(consumer, history)),
    ...history.takeovers
      .filter(({ takenAt, leasedUntil }) => takenAt < leasedUntil)
      .map(({ consumer, lane, takenAt, leasedUntil }) =>
        finding('lease taken early', `${consumer} lane ${lane}, ${leasedUntil - takenAt} ms early`),
      ),
  ];
}

function judgeLog({ published, appended }: History): Finding[] {
  const known = new Map(published.map((event) => [event.id, event]));
  const inOrder = appended.toSorted((one, other) => (one.position < other.position ? -1 : 1));
  return [
    ...missing(published, appended, 'the log'),
    ...repeated(appended, 'the log'),
    ...appended.filter(({ id }) => !known.has(id)).map(({ id }) => finding('never published', `${id} in the log`)),
    ...disordered(inOrder, known, 'the log'),
  ];
}

function judgeConsumer(consumer: string, { published, handled, acknowledged }: History): Finding[] {
  const known = new Map(published.map((event) => [event.id, event]));
  const effects = handled.filter((it) => it.consumer === consumer);
  const acknowledgedAt = new Map(acknowledged.filter((it) => it.consumer === consumer).map(({ id, lsn }) => [id, lsn]));
  const inOrder = effects.toSorted((one, other) => one.version - other.version);
  return [
    ...missing(published, effects, consumer),
    ...repeated(effects, consumer),
    ...disordered(inOrder, known, consumer),
    ...effects.flatMap(({ id, lsn }) => {
      const event = known.get(id);
      const done = acknowledgedAt.get(id);
      return [
        ...(event === undefined ? [finding('never published', `${id} at ${consumer}`)] : []),
        ...(event !== undefined && lsn < event.lsn
          ? [finding('handled before published', `${id} at ${consumer}`)]
          : []),
        ...(done !== undefined && done < lsn ? [finding('acknowledged before handled', `${id} at ${consumer}`)] : []),
      ];
    }),
    ...acknowledgedOnly(acknowledgedAt, effects, consumer),
  ];
}

type WithId = { readonly id: string };

function missing(expected: readonly Published[], found: readonly WithId[], place: string): Finding[] {
  const ids = new Set(found.map(({ id }) => id));
  const lost = expected.filter(({ id }) => !ids.has(id));
  return lost.map(({ id, key, number }) => finding('lost', `${id} (${key} ${number}) at ${place}`));
}

function repeated(found: readonly WithId[], place: string): Finding[] {
  const seen = new Set<string>();
  return found.flatMap(({ id }) => {
    if (seen.has(id)) return [finding('doubled', `${id} at ${place}`)];
    seen.add(id);
    return [];
  });
}

/** The events of one key must stand in the order of their numbers. A repeated event is another finding. */
function disordered(found: readonly (WithId & { key: string })[], known: Map<string, Published>, place: string) {
  const last = new Map<string, number>();
  return found.flatMap(({ id, key }) => {
    const number = known.get(id)?.number;
    const before = last.get(key) ?? Number.NEGATIVE_INFINITY;
    if (number === undefined || number === before) return [];
    last.set(key, Math.max(before, number));
    return number < before ? [finding('out of order', `${id} (${key} ${number} after ${before}) at ${place}`)] : [];
  });
}

/** An event that the log regards as done and that has no effect will never have one. */
function acknowledgedOnly(
  acknowledgedAt: Map<string, bigint>,
  effects: readonly WithId[],
  consumer: string,
): Finding[] {
  const ids = new Set(effects.map(({ id }) => id));
  const early = [...acknowledgedAt.keys()].filter((id) => !ids.has(id));
  return early.map((id) => finding('acknowledged before handled', `${id} at ${consumer}, which has no effect of it`));
}

function finding(rule: Rule, detail: string): Finding {
  return { rule, detail };
}
