/** @server any */
import { type CloudEvent, handleEvents, toCloudEvent } from '@azora/db-core/events';
import { useDatabase } from '@azora/db-testkit';
import { erasePerson, eventLog, type Health, listLogs, openHealth } from '../src';

const TYPE = 'forge.application-moved.v1';

const eventOf = (number: number, data: object, traceParent: string | null = null): CloudEvent =>
  toCloudEvent({
    id: `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`,
    source: 'forge',
    type: TYPE,
    key: 'job-1',
    data,
    traceParent,
    time: '2026-03-01T12:00:00.000Z',
    position: String(number),
  });

describe('the log of events', () => {
  const db = useDatabase('health');
  let health: Health;
  beforeAll(() => {
    health = openHealth({ url: db().url });
  });
  afterAll(() => health.close());

  it('has one line for each event, with its ids only, however often it is delivered', async () => {
    const events = [
      eventOf(1, {
        jobId: 'job-1',
        freelancerId: 'user-ada',
        status: 'accepted',
        amount: '12.00000000',
        disputeId: null,
      }),
      eventOf(2, { userId: 'user-ben' }, '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'),
    ];

    const handled = await handleEvents(health, eventLog([TYPE]), [...events, ...events]);
    expect(handled.map(({ outcome }) => outcome)).toEqual(['done', 'done', 'repeated', 'repeated']);
    await handleEvents(health, eventLog([TYPE]), events);

    const { lines } = await listLogs(health, { service: 'forge' });
    const about = { type: TYPE, key: 'job-1', occurredAt: '2026-03-01T12:00:00.000Z' };
    expect(lines.map(({ id: _id, createdAt: _at, ...line }) => line)).toEqual([
      {
        ...{ level: 'INFO', service: 'forge', message: `${TYPE} job-1`, userId: 'user-ben' },
        requestId: '0af7651916cd43dd8448eb211c80319c',
        metadata: { ...about, eventId: events[1]?.id, ids: { userId: 'user-ben' } },
      },
      {
        ...{ level: 'INFO', service: 'forge', message: `${TYPE} job-1`, userId: null, requestId: null },
        metadata: { ...about, eventId: events[0]?.id, ids: { jobId: 'job-1', freelancerId: 'user-ada' } },
      },
    ]);
  });

  it('forgets what it says about a person who is erased', async () => {
    await handleEvents(health, eventLog([TYPE]), [eventOf(3, { userId: 'user-cleo' })]);

    await erasePerson(health, 'user-cleo');

    expect(JSON.stringify((await listLogs(health)).lines)).not.toContain('user-cleo');
  });
});
