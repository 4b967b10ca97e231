import { testEffort, useDatabase } from '@azora/db-testkit';
import fc from 'fast-check';
import {
  countCritiques,
  type Debate,
  getMatch,
  getRating,
  listMatches,
  listRatingHistory,
  listRatings,
  type Match,
  reconcile,
  recordMatch,
  replayRatings,
} from '../src';
import { fresh, givenStore, givenStores, outcomes } from './given';

const RUNS = 15 * testEffort();

/** The sum in units of the last digit, so that the test adds whole numbers. */
const sumOf = ({ eloChanges }: Match) =>
  Object.values(eloChanges as Record<string, number>).reduce((sum, change) => sum + Math.round(change * 10_000), 0);

describe('Elo ratings', () => {
  const db = useDatabase('debate');
  let debate: Debate;
  beforeAll(() => {
    debate = givenStore(db());
  });
  afterEach(async () => {
    expect(await reconcile(debate)).toEqual([]);
  });
  afterAll(() => debate.close());

  it('follow the published formula', async () => {
    const [ada, bob] = [fresh('ada'), fresh('bob')];

    const even = await recordMatch(debate, { debateId: fresh('debate'), scores: { [ada]: 1, [bob]: 0 } });
    const upset = await recordMatch(debate, { debateId: fresh('debate'), scores: { [ada]: 0, [bob]: 3 } });

    expect(even).toMatchObject({ winner: ada, eloChanges: { [ada]: 16, [bob]: -16 } });
    // 32 · (0 − 1 / (1 + 10^(−32 / 400)))
    expect(upset).toMatchObject({ winner: bob, eloChanges: { [ada]: -17.4695, [bob]: 17.4695 } });
    expect((await getRating(debate, { agentName: ada })).elo.toFixed()).toBe('1498.5305');
  });

  it('treat equal highest scores as a draw, and share K among the pairs of a larger debate', async () => {
    const [a, b, c] = [fresh('a'), fresh('b'), fresh('c')];

    const draw = await recordMatch(debate, {
      debateId: fresh('debate'),
      scores: { [a]: 2, [b]: 2, [c]: 1 },
      kFactor: 40,
    });

    expect(draw).toMatchObject({ winner: null, eloChanges: { [a]: 10, [b]: 10, [c]: -20 } });
    expect(await getRating(debate, { agentName: c })).toMatchObject({ draws: 1, wins: 0, losses: 0, debatesCount: 1 });
  });

  it('are kept apart by domain, with their history', async () => {
    const [ada, bob] = [fresh('ada'), fresh('bob')];
    const play = (domain?: string) =>
      recordMatch(debate, {
        debateId: fresh('debate'),
        scores: { [ada]: 1, [bob]: 0 },
        ...(domain === undefined ? {} : { domain }),
      });
    await play();
    const inDomain = await play(`${ada}-physics`);

    expect(inDomain.domainChanges).toEqual({ [ada]: 16, [bob]: -16 });
    expect((await getRating(debate, { agentName: ada })).domainElos).toEqual({ [`${ada}-physics`]: 1516 });
    const history = await listRatingHistory(debate, { agentName: ada });
    expect(history.items.map(({ domain, domainElo }) => `${domain} ${domainElo}`)).toEqual([
      `${ada}-physics 1516`,
      'null null',
    ]);
    expect((await listRatings(debate, { domain: `${ada}-physics` })).map(({ agentName }) => agentName)).toEqual([
      ada,
      bob,
    ]);
    expect((await listMatches(debate, { agentName: ada, limit: 1 })).items).toMatchObject([{ id: inDomain.id }]);
    expect((await listMatches(debate, { domain: `${ada}-physics` })).items).toHaveLength(1);
  });

  it('lose no update and do not deadlock when sixteen clients rate at once, and a replay gives the same numbers', async () => {
    const stores = givenStores(db(), 8);
    const agents = Array.from({ length: 4 }, () => fresh('agent'));
    const scoresOf = (n: number) =>
      Object.fromEntries(
        agents.filter((_, place) => n % 5 !== place).map((agent, place) => [agent, (n * 7 + place * 3) % 5]),
      );

    const done = await outcomes(
      Array.from({ length: 48 }, (_, n) =>
        recordMatch(stores[n % 8] as Debate, {
          ...{ debateId: fresh('race'), scores: scoresOf(n), kFactor: 10 + (n % 3) * 7.5 },
          ...(n % 2 === 0 ? { domain: 'race' } : {}),
        }),
      ),
    );
    const ratings = await Promise.all(agents.map((agentName) => getRating(debate, { agentName })));
    const replay = await replayRatings(debate);

    expect(done).toEqual(Array(48).fill('done'));
    expect(ratings.reduce((sum, { debatesCount }) => sum + debatesCount, 0)).toBe(
      Array.from({ length: 48 }, (_, n) => Object.keys(scoresOf(n)).length).reduce((sum, each) => sum + each),
    );
    expect(replay.changed).toEqual([]);
    expect(ratings.map(({ elo }) => elo.toFixed())).toEqual(
      agents.map((agent) => replay.ratings[agent]?.elo.replace(/\.?0+$/, '')),
    );
    const [sum] = await db().admin(`SELECT sum(elo) - 1500 * count(*) = 0 AS is_zero FROM ratings`);
    expect(sum).toEqual({ is_zero: true });
    await Promise.all(stores.map((store) => store.close()));
  });

  it('count a debate once: repeats return it, and another result is an error', async () => {
    const stores = givenStores(db(), 4);
    const input = { debateId: fresh('debate'), scores: { [fresh('x')]: 1, [fresh('y')]: 0 } };

    const matches = await Promise.all(Array.from({ length: 8 }, (_, n) => recordMatch(stores[n % 4] as Debate, input)));

    expect(new Set(matches.map(({ id }) => id)).size).toBe(1);
    await expect(recordMatch(debate, { ...input, kFactor: 16 })).rejects.toMatchObject({
      code: 'DEBATE.MATCH_RECORDED',
    });
    await expect(recordMatch(debate, { ...input, scores: { [fresh('z')]: 1, [fresh('w')]: 0 } })).rejects.toMatchObject(
      {
        code: 'DEBATE.MATCH_RECORDED',
      },
    );
    expect(await getMatch(debate, { debateId: input.debateId })).toEqual(matches[0]);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('add up to exactly zero and replay exactly, whatever is played', async () => {
    const names = ['p1', 'p2', 'p3', 'p4', 'p5'];
    const game = fc.record({
      scores: fc
        .uniqueArray(fc.constantFrom(...names), { minLength: 2, maxLength: 5 })
        .chain((players) =>
          fc.tuple(...players.map((name) => fc.tuple(fc.constant(name), fc.double({ min: -5, max: 5, noNaN: true })))),
        ),
      kFactor: fc.integer({ min: 100, max: 10_000 }).map((hundredths) => hundredths / 100),
      domain: fc.constantFrom('law', 'art', undefined),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(game, { minLength: 1, maxLength: 6 }), async (games) => {
        for (const { scores, kFactor, domain } of games) {
          const match = await recordMatch(debate, {
            ...{ debateId: fresh('any'), scores: Object.fromEntries(scores), kFactor },
            ...(domain === undefined ? {} : { domain }),
          });
          expect(sumOf(match)).toBe(0);
        }
        expect((await replayRatings(debate)).changed).toEqual([]);
        expect(await reconcile(debate)).toEqual([]);
      }),
      { numRuns: RUNS, seed: 20_261_206 },
    );
  });

  it('refuse a match that would take a rating to 0, and bad input', async () => {
    const [ada, bob] = [fresh('ada'), fresh('bob')];
    await db().admin(`INSERT INTO ratings (agent_name, elo) VALUES ('${ada}', 1), ('${bob}', 1)`);

    const tried = await outcomes([
      recordMatch(debate, { debateId: fresh('d'), scores: { [ada]: 1, [bob]: 0 } }),
      recordMatch(debate, { debateId: fresh('d'), scores: { [ada]: 1 } }),
      recordMatch(debate, { debateId: fresh('d'), scores: { [ada]: Number.NaN, [bob]: 0 } }),
      recordMatch(debate, { debateId: fresh('d'), scores: { [ada]: 1, [bob]: 0 }, kFactor: 1.005 }),
      getRating(debate, { agentName: 'nobody' }),
      getMatch(debate, { debateId: 'none' }),
    ]);
    await db().admin(`DELETE FROM ratings WHERE agent_name IN ('${ada}', '${bob}')`);

    expect(tried).toEqual([
      ...['DEBATE.RATING_RANGE', 'DEBATE.INVALID_INPUT', 'DEBATE.INVALID_INPUT', 'DEBATE.INVALID_INPUT'],
      ...['DEBATE.AGENT_NOT_FOUND', 'DEBATE.MATCH_NOT_FOUND'],
    ]);
  });

  it('count critiques once per key', async () => {
    const agentName = fresh('critic');
    const input = { agentName, total: 3, accepted: 2, idempotencyKey: fresh('key') };

    await Promise.all(Array.from({ length: 4 }, () => countCritiques(debate, input)));
    await countCritiques(debate, { ...input, idempotencyKey: fresh('key') });

    expect(await getRating(debate, { agentName })).toMatchObject({ critiquesTotal: 6, critiquesAccepted: 4 });
    await expect(countCritiques(debate, { ...input, accepted: 4, idempotencyKey: fresh('key') })).rejects.toMatchObject(
      {
        code: 'DEBATE.INVALID_INPUT',
      },
    );
  });

  it('are reported by reconcile when a statement of the administrator changes them', async () => {
    const agentName = fresh('ada');
    const { id } = await recordMatch(debate, { debateId: fresh('d'), scores: { [agentName]: 1, [fresh('bob')]: 0 } });
    const set = (elo: string) => db().admin(`UPDATE ratings SET elo = elo ${elo} WHERE agent_name = '${agentName}'`);

    await set('+ 0.00000001');
    const found = await reconcile(debate);
    await set('- 0.00000001');

    expect(id).toBeGreaterThan(0);
    expect(found.map(({ check }) => check)).toEqual(['rating.elo', 'rating.history']);
  });
});
