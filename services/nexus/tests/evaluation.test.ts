/** @server any */
import { useDatabase } from '@azora/db-testkit';
import { type InteractionInput, type Nexus, openNexus, recommend, reconcile, track } from '../src';
import { click, refreshAll } from './given';

const TOPICS = 6;
const ITEMS_PER_TOPIC = 20;
const PEOPLE = 240;
const ASKED = 40;
const OWN = 9;
const OTHER = 4;
const HIDDEN = 3;

/** Numbers from 0 to 1, the same ones in each run (the constants of Numerical Recipes). */
function randomNumbers(): () => number {
  let state = 42;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Different courses of a topic, the first ones more often: they are the popular ones. */
function picked(random: () => number, topic: number, count: number): Set<string> {
  const found = new Set<string>();
  while (found.size < count) found.add(`topic-${topic}-${Math.floor(ITEMS_PER_TOPIC * random() ** 1.5)}`);
  return found;
}

/** What a person uses: mostly one topic, which is the planted structure, and a little of another. */
function historyOf(random: () => number, n: number): { readonly known: string[]; readonly hidden: string[] } {
  const own = [...picked(random, n % TOPICS, OWN + HIDDEN)];
  const other = [...picked(random, Math.floor(TOPICS * random()), OTHER)].filter((id) => !own.includes(id));
  return { known: [...own.slice(HIDDEN), ...other], hidden: own.slice(0, HIDDEN) };
}

describe('recommendations on data with planted topics', () => {
  const db = useDatabase('nexus');
  let nexus: Nexus;
  beforeAll(() => {
    nexus = openNexus({ url: db().url });
  });
  afterAll(() => nexus.close());

  it('find the hidden items of a person far more often than popularity does: recall@10', async () => {
    const random = randomNumbers();
    const people = Array.from({ length: PEOPLE }, (_, n) => ({ userId: `user-${n}`, ...historyOf(random, n) }));
    const interactions: InteractionInput[] = people.flatMap(({ userId, known }) =>
      known.map((id) => click(userId, id)),
    );
    await track(nexus, { interactions });
    await refreshAll(nexus);
    expect(await reconcile(nexus)).toEqual([]);
    const popular = (await db().admin('SELECT item_id FROM items ORDER BY popularity DESC, id')).map(
      ({ item_id: id }) => String(id),
    );
    const recallOf = (found: readonly string[], hidden: readonly string[]) =>
      hidden.filter((id) => found.includes(id)).length / hidden.length;

    let [ours, baseline] = [0, 0];
    for (const { userId, known, hidden } of people.slice(0, ASKED)) {
      const found = (await recommend(nexus, { userId, limit: 10 })).map(({ itemId }) => itemId);
      ours += recallOf(found, hidden) / ASKED;
      baseline += recallOf(popular.filter((id) => !known.includes(id)).slice(0, 10), hidden) / ASKED;
    }

    expect(baseline).toBeLessThan(0.35);
    expect(ours).toBeGreaterThan(0.85);
  });
});
