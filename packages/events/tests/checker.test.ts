/** @server none */
import fc from 'fast-check';
import { type Handled, type History, judge, type Published, type Rule } from './checker';

const CONSUMER = 'auth.counts';

/** A correct history: the events of some keys, appended and handled in an order that keeps the order of each key. */
const histories = fc
  .array(fc.integer({ min: 0, max: 4 }), { minLength: 2, maxLength: 60 })
  // Two events of one key, for the faults of order.
  .map((keys) => [...keys, 0, 0])
  .chain((keys) =>
    fc.record({ keys: fc.constant(keys), logged: mixed(keys.length), effected: mixed(keys.length) }).map(historyOf),
  );

/** Numbers that decide which of the keys is next. */
function mixed(length: number) {
  return fc.array(fc.nat(1_000), { minLength: length, maxLength: length });
}

function historyOf(given: { keys: number[]; logged: number[]; effected: number[] }): History {
  const counts = new Map<number, number>();
  const published = given.keys.map((key, index): Published => {
    const number = (counts.get(key) ?? 0) + 1;
    counts.set(key, number);
    return { id: `event-${index}`, key: `key-${key}`, number, lsn: BigInt(index) };
  });
  const appended = interleaved(published, given.logged).map(({ id, key }, index) => ({
    id,
    key,
    position: BigInt(index + 1),
  }));
  const handled = interleaved(published, given.effected).map(
    ({ id, key, number }, index): Handled => ({
      consumer: CONSUMER,
      id,
      key,
      version: number,
      lsn: BigInt(1_000 + index),
    }),
  );
  const acknowledged = handled.map(({ id, lsn }) => ({ consumer: CONSUMER, id, lsn: lsn + 500n }));
  return {
    published,
    appended,
    handled,
    acknowledged,
    takeovers: [{ consumer: CONSUMER, lane: 1, takenAt: 5, leasedUntil: 5 }],
  };
}

/** Takes the first remaining event of one key after the other. */
function interleaved(events: readonly Published[], choices: readonly number[]): Published[] {
  const queues = [...new Set(events.map(({ key }) => key))].map((key) => events.filter((it) => it.key === key));
  return choices.flatMap((choice) => {
    const open = queues.filter((queue) => queue.length > 0);
    return open[choice % open.length]?.splice(0, 1) ?? [];
  });
}

const rulesOf = (history: History) => new Set(judge(history, [CONSUMER]).map(({ rule }) => rule));

describe('the checker of histories', () => {
  it('finds nothing in a correct history', () => {
    fc.assert(fc.property(histories, (history) => judge(history, [CONSUMER]).length === 0));
  });

  /** The last event of the key that surely has two events. */
  const lastOf = ({ published }: History) => published.findLast(({ key }) => key === 'key-0')?.id;
  const firstOf = ({ published }: History) => published.find(({ key }) => key === 'key-0')?.id;
  const without = <Row extends { id: string }>(rows: readonly Row[], id?: string) => rows.filter((it) => it.id !== id);
  const changed = <Row extends { id: string }>(rows: readonly Row[], id: string | undefined, change: Partial<Row>) =>
    rows.map((it) => (it.id === id ? { ...it, ...change } : it));

  it.each<[string, (history: History) => History, Rule[]]>([
    ['an event that the log lacks', (it) => ({ ...it, appended: without(it.appended, lastOf(it)) }), ['lost']],
    [
      'an event without an effect',
      (it) => ({
        ...it,
        handled: without(it.handled, lastOf(it)),
        acknowledged: without(it.acknowledged, lastOf(it)),
      }),
      ['lost'],
    ],
    [
      'an acknowledged event without an effect',
      (it) => ({ ...it, handled: without(it.handled, lastOf(it)) }),
      ['lost', 'acknowledged before handled'],
    ],
    [
      'an event that is twice in the log',
      (it) => ({
        ...it,
        appended: [...it.appended, ...it.appended.filter(({ id }) => id === lastOf(it))],
      }),
      ['doubled'],
    ],
    [
      'an effect that happened twice',
      (it) => ({ ...it, handled: [...it.handled, ...it.handled.filter(({ id }) => id === lastOf(it))] }),
      ['doubled'],
    ],
    [
      'an event that was never published',
      (it) => ({ ...it, published: without(it.published, lastOf(it)) }),
      ['never published'],
    ],
    [
      'a log that changes the order of a key',
      (it) => ({ ...it, appended: changed(it.appended, lastOf(it), { position: 0n }) }),
      ['out of order'],
    ],
    [
      'effects that change the order of a key',
      (it) => ({ ...it, handled: changed(it.handled, firstOf(it), { version: 1_000 }) }),
      ['out of order'],
    ],
    [
      'an effect before the event was published',
      (it) => ({ ...it, published: changed(it.published, lastOf(it), { lsn: 9_000n }) }),
      ['handled before published'],
    ],
    [
      'an acknowledgement before the effect was committed',
      (it) => ({ ...it, acknowledged: changed(it.acknowledged, lastOf(it), { lsn: 999n }) }),
      ['acknowledged before handled'],
    ],
    [
      'a lane that was taken before its lease ended',
      (it) => ({ ...it, takeovers: [{ consumer: CONSUMER, lane: 3, takenAt: 4, leasedUntil: 5 }] }),
      ['lease taken early'],
    ],
  ])('finds %s, and nothing else', (_, plant, rules) => {
    fc.assert(
      fc.property(histories, (history) => {
        expect(rulesOf(plant(history))).toEqual(new Set(rules));
      }),
    );
  });
});
