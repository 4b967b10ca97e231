/** @server any */
import { openAuth } from '@azora/auth';
import { openBus } from '@azora/db-events';
import { useDatabase } from '@azora/db-testkit';
import { openEducation } from '@azora/education';
import { openFamily } from '@azora/family';
import { openForge } from '@azora/forge';
import { openHealth } from '@azora/health';
import { openMint } from '@azora/mint';
import { openNexus } from '@azora/nexus';
import { openNotifications } from '@azora/notification';
import { openSapiens } from '@azora/sapiens';
import { type JourneyStores, runJourney } from '../src';

describe('the journey', () => {
  let stores: JourneyStores;
  // Runs before the databases are dropped.
  afterAll(() => Promise.all(Object.values(stores ?? {}).map((store) => store.close())));
  const databases = {
    auth: useDatabase('auth'),
    education: useDatabase('education'),
    family: useDatabase('family'),
    forge: useDatabase('forge'),
    health: useDatabase('health'),
    mint: useDatabase('mint'),
    nexus: useDatabase('nexus'),
    notification: useDatabase('notification'),
    sapiens: useDatabase('sapiens'),
  };
  const settings = (service: keyof typeof databases) => ({ url: databases[service]().url, slowQueryMs: 60_000 });
  beforeAll(() => {
    stores = {
      auth: openAuth({ ...settings('auth'), bcryptCost: 4 }),
      education: openEducation(settings('education')),
      family: openFamily(settings('family')),
      forge: openForge(settings('forge')),
      health: openHealth(settings('health')),
      mint: openMint(settings('mint')),
      nexus: openNexus(settings('nexus')),
      notification: openNotifications(settings('notification')),
      sapiens: openSapiens(settings('sapiens')),
    };
  });

  async function travel(signal: AbortSignal, say: (sentence: string) => void = () => undefined) {
    const bus = openBus({ url: databases.nexus().url, logger: { warn: () => undefined }, pollMs: 50 });
    try {
      return await runJourney({ bus, stores, say, signal });
    } finally {
      await bus.close();
    }
  }

  it('leaves the same facts in each database, however often it is made', async () => {
    const running = new AbortController().signal;
    const said: string[] = [];

    const first = await travel(running, (sentence) => said.push(sentence));
    const second = await travel(running);

    expect(said).toHaveLength(14);
    expect(said).toContain(
      'Nexus recommends Ada the course about indexes: People who chose the course "Introduction to databases" also chose this.',
    );
    expect(first).toEqual({
      auth: { accounts: 3, 'audit entries': 8 },
      education: {
        enrollment: 'completed, 100 %',
        certificate: expect.stringMatching(/^AZ-\d{4}-\d{8}, valid$/),
        'study wallet': '280 AZR',
      },
      forge: {
        contract: 'completed',
        'escrows paid': '150 of 150 AZR, 60 of 100 AZR',
        'profile of Ada': '1 job, rating 5',
      },
      health: {
        'log lines': expect.any(Number),
        'of the services': 'auth, education, family, forge, mint, nexus, notification, sapiens',
      },
      mint: { Ada: '280 AZR', Ben: '40 AZR', Kofi: '90 AZR', transactions: 6, 'captured holds': 3, differences: 0 },
      family: { messages: 2, affinities: 1 },
      nexus: { 'sagas done': 5, recommendations: 1 },
      sapiens: { assessment: 'completed, ability 1.11', level: 'advanced' },
      notification: { notifications: 1, unread: 1, newest: 'Your password was changed' },
    });
    const { certificate } = first['education'] ?? {};
    expect(second).toEqual({
      ...first,
      education: { ...first['education'], certificate: expect.not.stringMatching(String(certificate)) },
      health: { ...first['health'], 'log lines': expect.any(Number) },
    });
    const events = await Promise.all(Object.values(databases).map((db) => db().app('SELECT event_id FROM outbox')));
    const lines = await databases.health().app("SELECT metadata ->> 'eventId' AS id FROM logs");
    const published = events.flat().map(({ event_id }) => event_id);
    expect(lines.map(({ id }) => id).toSorted()).toEqual(published.toSorted());
  });

  it('ends where it is when it is interrupted, and nothing is half done', async () => {
    const interrupting = new AbortController();

    const interrupted = travel(interrupting.signal, (sentence) => {
      if (sentence.startsWith('Kofi funds both')) interrupting.abort();
    });

    await expect(interrupted).rejects.toMatchObject({ name: 'AbortError' });
    const open = await databases.nexus().app('SELECT name, state, owner FROM sagas WHERE finished_at IS NULL');
    expect(open.filter(({ state, owner }) => state !== 'running' || owner !== null)).toEqual([]);
  });
});
