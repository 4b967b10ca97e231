/** @server none */
import { type Outcome, type ParkedEvent, settleLane } from '../src/nats/lanes';

describe('the parked events of a lane', () => {
  const event = (sequence: number, key: string, parked?: ParkedEvent): Outcome['event'] => ({
    ...{ lane: 0, source: 'family', sequence, key },
    ...(parked === undefined ? {} : { parked }),
  });
  const parkedEvent = (sequence: number, key: string, attempts: number, isWaiting: boolean): ParkedEvent => ({
    ...{ source: 'family', sequence, key, attempts, isWaiting, delayMs: 0 },
  });

  it('are those that failed, and those of their key that came later', () => {
    const outcomes: Outcome[] = [
      { event: event(1, 'a'), outcome: 'failed' },
      { event: event(2, 'a'), outcome: 'behind' },
      { event: event(3, 'b'), outcome: 'done' },
    ];

    const { parked, dead } = settleLane([], outcomes, 3);

    expect(parked).toMatchObject([
      { sequence: 1, attempts: 1, isWaiting: false },
      { sequence: 2, attempts: 0, isWaiting: true },
    ]);
    expect(dead).toEqual([]);
  });

  it('get random delays whose limit doubles with each attempt, up to ten minutes', () => {
    const delays = (attempts: number) =>
      Array.from({ length: 200 }, () => {
        const failed = parkedEvent(1, 'a', attempts - 1, false);
        return settleLane([failed], [{ event: event(1, 'a', failed), outcome: 'failed' }], 99).parked[0]?.delayMs ?? 0;
      });
    for (const [attempts, limit] of [
      [1, 2_000],
      [3, 8_000],
      [20, 600_000],
    ] as const) {
      const found = delays(attempts);
      expect(Math.max(...found)).toBeLessThanOrEqual(limit);
      expect(Math.max(...found)).toBeGreaterThan(limit / 2);
      expect(Math.min(...found)).toBeLessThan(limit / 2);
    }
  });

  it('continue with the next one of the key after the last attempt', () => {
    const [first, second] = [parkedEvent(1, 'a', 2, false), parkedEvent(2, 'a', 0, true)];

    const { parked, dead } = settleLane(
      [first, second],
      [
        { event: event(1, 'a', first), outcome: 'failed' },
        { event: event(2, 'a', second), outcome: 'behind' },
      ],
      3,
    );

    expect(dead).toMatchObject([{ sequence: 1 }]);
    expect(parked).toEqual([{ ...second, isWaiting: false }]);
  });

  it('are gone when they took effect, and dead letters among them are named', () => {
    const [first, second] = [{ ...parkedEvent(1, 'a', 0, false), isDead: true as const }, parkedEvent(2, 'a', 0, true)];

    const { parked, revived } = settleLane(
      [first, second],
      [
        { event: event(1, 'a', first), outcome: 'done' },
        { event: event(2, 'a', second), outcome: 'repeated' },
      ],
      3,
    );

    expect(parked).toEqual([]);
    expect(revived).toMatchObject([{ sequence: 1 }]);
  });
});
