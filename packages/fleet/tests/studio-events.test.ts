/** @server any */
import { CONSUMER, givenDeadLetters, givenEventLog } from './event-log-fixture';
import type { GivenFleet } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';
import { closeStudios, codeOf, type GivenStudio, givenPeople, givenStudio, removeStudios } from './studio-fixture';

describe('the events in the studio', () => {
  let fleet: GivenFleet;
  let people: GivenFleet;

  beforeAll(async () => {
    fleet = await givenEventLog();
    people = await givenPeople();
  });
  beforeEach(() => givenDeadLetters(fleet));
  afterEach(closeStudios);
  afterAll(() => removeStudios([fleet, people]));

  const nexus = (sql: string) => rowsOf(fleet.target('nexus').admin, sql);
  const change = ({ send, server }: GivenStudio, body: unknown) =>
    send({
      path: '/api/events/dead-letters',
      method: 'POST',
      headers: {
        origin: `http://127.0.0.1:${server.port}`,
        'content-type': 'application/json',
        'sec-fetch-site': 'same-origin',
      },
      body: JSON.stringify(body),
    });

  it('are shown: outboxes, consumers and dead letters', async () => {
    const { send } = await givenStudio(fleet);

    const { status, text } = await send({ path: '/api/events' });

    expect(status).toBe(200);
    expect(JSON.parse(text)).toMatchObject({
      write: false,
      sources: [{ service: 'nexus', outbox: { waiting: 0 }, isRelayed: false, relayed: 5 }],
      consumers: [{ name: CONSUMER, lag: 5, dead: 3, workers: 0 }],
      deadLetters: [
        { consumer: CONSUMER, position: '1', key: 'key-1', attempts: 3, lastError: 'NEXUS.NOT_FOUND' },
        { position: '2' },
        { position: '3' },
      ],
      deadLettersTotal: 3,
    });
    expect(text).not.toContain('payload');
  });

  it('are refused where no service has the log', async () => {
    const { send } = await givenStudio(people);

    const { status, text } = await send({ path: '/api/events' });

    expect([status, codeOf(text)]).toEqual([404, 'EVENTS.NO_LOG']);
  });

  it('change with --write, together with an entry in the audit log', async () => {
    const studio = await givenStudio(fleet, { write: true });

    const retried = await change(studio, { action: 'retry', consumer: CONSUMER, position: '1' });
    const discarded = await change(studio, { action: 'discard', consumer: CONSUMER, position: '2' });
    const again = await change(studio, { action: 'discard', consumer: CONSUMER, position: '2' });

    expect([retried.status, discarded.status, again.status]).toEqual([200, 200, 404]);
    expect(codeOf(again.text)).toBe('EVENTS.NO_DEAD_LETTER');
    expect(await nexus(`SELECT position || ' ' || state FROM deliveries ORDER BY position`)).toEqual([
      '1 retry',
      '3 dead',
    ]);
    const entries = `SELECT concat_ws(' ', action, resource_type, resource_id, user_agent) FROM audit_logs ORDER BY created_at`;
    expect(await nexus(entries)).toEqual([
      `studio.retry-dead-letter deliveries 1,${CONSUMER} the studio test`,
      `studio.discard-dead-letter deliveries 2,${CONSUMER} the studio test`,
    ]);
  });

  it('do not change without an entry in the audit log', async () => {
    const studio = await givenStudio(fleet, { write: true });
    await nexus('ALTER TABLE audit_logs ADD CONSTRAINT refused CHECK (false) NOT VALID');

    const { status } = await change(studio, { action: 'discard', consumer: CONSUMER, position: '1' });
    await nexus('ALTER TABLE audit_logs DROP CONSTRAINT refused');

    expect(status).toBe(500);
    expect(await nexus(`SELECT count(*)::int FROM deliveries WHERE state = 'dead'`)).toEqual([3]);
  });

  it('do not change in a read-only studio, by a bad request, or from another site', async () => {
    const reader = await givenStudio(fleet);
    const writer = await givenStudio(fleet, { write: true });
    const body = { action: 'discard', consumer: CONSUMER, position: '1' };

    const refused = await change(reader, body);
    const malformed = await Promise.all(
      [{}, { ...body, action: 'drop' }, { ...body, position: '1; DROP' }, { ...body, more: 1 }].map((it) =>
        change(writer, it),
      ),
    );
    const foreign = await writer.send({
      path: '/api/events/dead-letters',
      method: 'POST',
      headers: { origin: 'http://evil.example', 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });

    expect([refused.status, codeOf(refused.text)]).toEqual([403, 'STUDIO.READ_ONLY']);
    expect(malformed.map(({ status }) => status)).toEqual([400, 400, 400, 400]);
    expect(foreign.status).toBe(403);
    expect(await nexus(`SELECT count(*)::int FROM deliveries WHERE state = 'dead'`)).toEqual([3]);
  });
});
