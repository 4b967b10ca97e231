/** @server none */
import { examineEvents } from '../src/operations/events/findings';
import type { SourceState } from '../src/operations/events/state';

/** An outbox that nobody has ever relayed, in a fleet without consumers. */
function unrelayed(waiting: number): SourceState {
  return {
    ...{ service: 'mint', outbox: { waiting, oldestSeconds: 86_400 }, isRelayed: false, lapsedSeconds: null },
    ...{ relayed: 0, relayedAt: null, relayedAgoSeconds: null, standsStill: false, error: null },
  };
}
const findings = (source: SourceState) =>
  examineEvents({ sources: [source], consumers: [], broker: null }, [source.service]);

describe('the doctor of a fleet without consumers', () => {
  it('says nothing about events that wait in an outbox', () => {
    expect(findings(unrelayed(100_000))).toEqual([]);
  });

  it('notes an outbox that grows without end, because only a relay deletes its events', () => {
    expect(findings(unrelayed(100_001))).toEqual([
      expect.objectContaining({
        ...{ service: 'mint', check: 'event-relay', level: 'note', object: 'outbox' },
        message: 'has 100,001 events, and nothing deletes them before a relay runs',
      }),
    ]);
  });

  it('does not note it while a relay moves the events', () => {
    expect(findings({ ...unrelayed(100_001), isRelayed: true })).toEqual([]);
  });
});
