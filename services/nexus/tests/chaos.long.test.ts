/** @server none */
import { type ChaosCall, type ChaosServer, callUnderKills, openChaosServer, testEffort } from '@azora/db-testkit';
import {
  acceptRecommendation,
  dismissRecommendation,
  erasePerson,
  expireRecommendations,
  type InteractionInput,
  markShown,
  type Nexus,
  openNexus,
  recommend,
  reconcile,
  refreshProfiles,
  saveProfile,
  track,
} from '../src';
import { click, refreshAll } from './given';

const CLIENTS = 8;
const KILLS = 2 * testEffort();
const CALLS = 240;
const USERS = 6;
const ITEMS = 15;

describe('the recommender on a server that is killed', () => {
  let server: ChaosServer;
  let nexus: Nexus;
  beforeAll(async () => {
    server = await openChaosServer('nexus');
    nexus = openNexus({ url: server.url, pool: { max: CLIENTS }, slowQueryMs: 3_600_000 });
  });
  afterAll(async () => {
    await nexus.close();
    await server.close();
  });

  /** The events that the clients know to be recorded, of the users who are not erased. */
  const recorded = new Set<string>();
  let made = 0;

  const trackOf = (userId: string, events: readonly InteractionInput[]) => async () => {
    const { recorded: added, repeated } = await track(nexus, { interactions: events });
    expect(added + repeated).toBe(events.length);
    if (userId.startsWith('ada')) for (const { eventId } of events) recorded.add(eventId);
  };

  async function answer(userId: string, isAccepted: boolean): Promise<void> {
    const [first] = await recommend(nexus, { userId, limit: 2 });
    if (first === undefined) return;
    await markShown(nexus, { userId, recommendationIds: [first.id] });
    const call = isAccepted ? acceptRecommendation : dismissRecommendation;
    await call(nexus, { userId, recommendationId: first.id });
  }

  /** Clients share users and items. */
  function next(): ChaosCall {
    made += 1;
    const kept = `ada-${made % USERS}`;
    const gone = `gone-${made % USERS}`;
    const userId = made % 3 === 0 ? gone : kept;
    switch (made % 10) {
      case 0:
        return ['erase', () => erasePerson(nexus, gone)];
      case 1:
        return ['refresh', () => refreshProfiles(nexus, { limit: 3 })];
      case 2:
        return ['expire', () => expireRecommendations(nexus)];
      case 3: {
        const personalized = made % 20 === 3;
        return ['profile', () => saveProfile(nexus, { userId, personalized })];
      }
      case 4:
      case 5: {
        const isAccepted = made % 10 === 4;
        return ['answer', () => answer(userId, isAccepted)];
      }
      default: {
        const first = made;
        const items = [0, 7, 11].map((step) => `item-${(first + step * first) % ITEMS}`);
        return [
          'track',
          trackOf(
            userId,
            items.map((item) => click(userId, item)),
          ),
        ];
      }
    }
  }

  async function check(): Promise<void> {
    await refreshAll(nexus);
    expect(await reconcile(nexus)).toEqual([]);
    const [found] = await server.admin(
      `SELECT count(*)::int AS interactions, count(*) FILTER (WHERE event_id = ANY ($1))::int AS known
       FROM interactions AS n JOIN user_profiles AS u ON u.id = n.profile_id
       WHERE u.user_id LIKE 'ada-%' AND n.event_id LIKE 'event-%'`,
      [[...recorded]],
    );
    expect(found).toEqual({ interactions: recorded.size, known: recorded.size });
    expect(await answersWithoutEvent()).toEqual([]);
  }

  /** Each answer of a recommendation is published once, and nothing else is. */
  const answersWithoutEvent = () =>
    server.admin(`SELECT r.id, r.status, count(o.*)::int AS events FROM recommendations AS r
      LEFT JOIN outbox AS o ON o.type = 'nexus.recommendation-answered.v1' AND o.payload ->> 'recommendationId' = r.id
      GROUP BY r.id, r.status HAVING count(o.*) <> CASE WHEN r.status IN ('accepted', 'dismissed') THEN 1 ELSE 0 END`);

  it('keeps what it confirmed and records each repeated event once', async () => {
    const run = { clients: CLIENTS, kills: KILLS, calls: CALLS, next, check };
    const refusals = /^NEXUS\.(RECOMMENDATION_NOT_FOUND|PROFILE_NOT_FOUND|ILLEGAL_TRANSITION)$/;
    const { done, lost } = await callUnderKills(server, { ...run, refusals });

    expect(Object.keys(done).sort()).toEqual(['answer', 'erase', 'expire', 'profile', 'refresh', 'track']);
    expect(lost).toBeGreaterThan(0);
  });
});
