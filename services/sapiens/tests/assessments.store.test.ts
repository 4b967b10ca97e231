/** @server any */
import { useDatabase } from '@azora/db-testkit';
import {
  abandonAssessment,
  addItem,
  answerItem,
  createSkill,
  findMastery,
  findProfile,
  findSkill,
  getAssessment,
  getSkill,
  listAnswers,
  listAssessments,
  listAttempts,
  listItems,
  listMastery,
  listSkills,
  openSapiens,
  reconcile,
  recordPractice,
  retireItem,
  type Sapiens,
  startAssessment,
} from '../src';
import { fresh, givenBank, givenStores, LSAT7, outcomes, published } from './given';

/**
 * Simpson's rule with 24,000 intervals from -12 to 12 over the two-parameter logistic model in slope-intercept form, with a standard
 * normal prior: the integrals that mirt's EAP approximates by quadrature.
 */
function integrate(answers: readonly boolean[], a: readonly number[], d: readonly number[]) {
  const [intervals, from, width] = [24_000, -12, 24 / 24_000];
  const moments = [0, 0, 0];
  for (let n = 0; n <= intervals; n += 1) {
    const theta = from + n * width;
    const log = answers.reduce(
      (sum, isCorrect, item) => {
        const logit = (a[item] ?? 0) * theta + (d[item] ?? 0);
        return sum - Math.log1p(Math.exp(isCorrect ? -logit : logit));
      },
      (-theta * theta) / 2,
    );
    const weight = Math.exp(log) * (n === 0 || n === intervals ? 1 : n % 2 === 1 ? 4 : 2);
    moments.forEach((_, power) => {
      moments[power] = (moments[power] ?? 0) + weight * theta ** power;
    });
  }
  const [sum = 1, first = 0, second = 0] = moments;
  return { ability: first / sum, standardError: Math.sqrt(second / sum - (first / sum) ** 2) };
}

/** The probabilities of pyBKT (source-py, predict_onestep, without forgetting): before each answer, that it is correct and that the skill is known. */
const PYBKT = [
  {
    parameters: { prior: 0.1, learn: 0.3, guess: 0.1, slip: 0.03 },
    answers: [1, 0, 1, 1, 0, 1, 1, 1],
    known: [0.1, 0.6631016043, 0.3430983118, 0.8846081962, 0.9907114289, 0.8463330513, 0.9871379159, 0.9990609757],
  },
  {
    parameters: { prior: 0.3, learn: 0.1, guess: 0.2, slip: 0.1 },
    answers: [0, 0, 1, 0, 1, 1, 1, 1, 0, 1],
    known: [
      ...[0.3, 0.1457627119, 0.1187955318, 0.4398271071, 0.1804363919, 0.5479038476, 0.860543705, 0.9687154284],
      ...[0.9935870428, 0.9558104096],
    ],
  },
  {
    parameters: { prior: 0.5, learn: 0.05, guess: 0.25, slip: 0.2 },
    answers: [1, 1, 1, 0, 0, 0, 1, 0, 1, 1],
    known: [
      ...[0.5, 0.7738095238, 0.9204845815, 0.9750287612, 0.9167563767, 0.7586861499, 0.4832448739, 0.7620531454],
      ...[0.4876031693, 0.7651514186],
    ],
  },
];

describe('assessments', () => {
  const db = useDatabase('sapiens');
  let sapiens: Sapiens;
  beforeAll(() => {
    sapiens = openSapiens({ url: db().url });
  });
  afterAll(() => sapiens.close());

  const begin = (topic: string, fields: Partial<Parameters<typeof startAssessment>[1]> = {}) =>
    startAssessment(sapiens, { studentId: fresh('student'), topic, idempotencyKey: fresh('key'), ...fields });
  const lsat = () =>
    givenBank(
      sapiens,
      LSAT7.a.map((discrimination, n) => ({ discrimination, intercept: LSAT7.d[n] ?? 0 })),
    );

  it('estimate the ability of all 32 patterns of LSAT7 as the integrals do, within 1e-6', async () => {
    const patterns = Array.from({ length: 32 }, (_, bits) => LSAT7.a.map((_a, n) => ((bits >> n) & 1) === 1));
    const b = LSAT7.a.map((a, n) => -(LSAT7.d[n] ?? 0) / a);
    const found = await Promise.all(
      patterns.map(async (answers) => {
        const [row] = await db().app('SELECT * FROM irt_eap($1, $2, $3)', [LSAT7.a, b, answers]);
        return { ability: Number(row?.['ability']), standardError: Number(row?.['standard_error']) };
      }),
    );

    const errors = patterns.flatMap((answers, n) => {
      const expected = integrate(answers, LSAT7.a, LSAT7.d);
      return [
        Math.abs(expected.ability - (found[n]?.ability ?? Number.NaN)),
        Math.abs(expected.standardError - (found[n]?.standardError ?? Number.NaN)),
      ];
    });
    expect(Math.max(...errors)).toBeLessThan(1e-6);
  });

  it('ask the item with the most information at the ability of the answers so far, until the bank is exhausted', async () => {
    const { topic } = await lsat();
    let state = await begin(topic, { topic: topic.toUpperCase(), maxItems: 200, targetStandardError: 0.1 });
    expect(state).toMatchObject({ ability: 0, standardError: 1, difficulty: 0.5, status: 'in_progress' });
    expect(state.nextItem).not.toHaveProperty('correctOption');
    const asked: number[] = [];
    const answers: boolean[] = [];
    while (state.nextItem !== null) {
      const left = LSAT7.a.map((a, n) => {
        const p = 1 / (1 + Math.exp(-a * state.ability - (LSAT7.d[n] ?? 0)));
        return asked.includes(n) ? -1 : a * a * p * (1 - p);
      });
      const item = Number(state.nextItem.prompt.slice('Item '.length)) - 1;
      expect(item).toBe(left.indexOf(Math.max(...left)));
      asked.push(item);
      answers.push(item % 2 === 0);
      state = await answerItem(sapiens, {
        assessmentId: state.id,
        position: state.nextItem.position,
        chosenOption: item % 2 === 0 ? 1 : 0,
      });
      const expected = integrate(
        answers,
        asked.map((n) => LSAT7.a[n] ?? 0),
        asked.map((n) => LSAT7.d[n] ?? 0),
      );
      expect(Math.abs(state.ability - expected.ability)).toBeLessThan(1e-6);
      expect(Math.abs(state.standardError - expected.standardError)).toBeLessThan(1e-6);
    }

    expect(asked).toHaveLength(5);
    expect(state).toMatchObject({ status: 'completed', stopReason: 'exhausted', score: 0.6 });
    expect((await listAnswers(sapiens, { assessmentId: state.id })).map(({ isCorrect }) => isCorrect)).toEqual(answers);
  });

  it('stop when the ability is precise enough, or the assessment long enough', async () => {
    const sharp = Array.from({ length: 12 }, (_, n) => ({ discrimination: 3, location: (n % 5) / 5 - 0.4 }));
    const { topic } = await givenBank(sapiens, sharp);
    const answerAll = async (fields: Partial<Parameters<typeof startAssessment>[1]>) => {
      let state = await begin(topic, fields);
      for (let n = 0; state.nextItem !== null; n += 1) {
        const { position } = state.nextItem;
        state = await answerItem(sapiens, { assessmentId: state.id, position, chosenOption: n % 2 });
      }
      return state;
    };

    const precise = await answerAll({ maxItems: 50, targetStandardError: 0.4 });
    expect(precise).toMatchObject({ status: 'completed', stopReason: 'precise' });
    expect(precise.standardError).toBeLessThanOrEqual(0.4);
    expect((await listAnswers(sapiens, { assessmentId: precise.id })).length).toBeLessThan(12);
    const long = await answerAll({ maxItems: 2, targetStandardError: 0.1 });
    expect(long).toMatchObject({ stopReason: 'length', score: 0.5 });
  });

  it('count an answer once: of two devices, the first one wins', async () => {
    const { topic } = await lsat();
    const { id: assessmentId } = await begin(topic);
    const stores = givenStores(db(), 4);
    const answer = (store: Sapiens, chosenOption: number) =>
      answerItem(store, { assessmentId, position: 1, chosenOption });
    const found = await outcomes(stores.map((store, n) => answer(store, n % 2)));

    expect([...found].sort()).toEqual(['SAPIENS.ITEM_ANSWERED', 'SAPIENS.ITEM_ANSWERED', 'done', 'done']);
    const answers = await listAnswers(sapiens, { assessmentId });
    expect(answers.map(({ chosenOption }) => chosenOption)).toEqual([found.indexOf('done') % 2]);
    expect((await getAssessment(sapiens, { assessmentId })).nextItem?.position).toBe(2);
    await expect(answerItem(sapiens, { assessmentId, position: 3, chosenOption: 0 })).rejects.toMatchObject({
      code: 'SAPIENS.ANSWER_ORDER',
    });
    await expect(answerItem(sapiens, { assessmentId, position: 2, chosenOption: 2 })).rejects.toMatchObject({
      code: 'SAPIENS.INVALID_INPUT',
      meta: { fields: ['chosenOption'] },
    });
    await Promise.all(stores.map((store) => store.close()));
  });

  it('run once per student and topic, and start once per key', async () => {
    const { topic } = await lsat();
    const studentId = fresh('student');
    const stores = givenStores(db(), 4);
    const found = await outcomes(
      stores.map((store) => startAssessment(store, { studentId, topic, idempotencyKey: fresh('key') })),
    );
    expect([...found].sort()).toEqual([...Array(3).fill('SAPIENS.ASSESSMENT_RUNNING'), 'done']);

    const [running] = (await listAssessments(sapiens, { studentId, status: 'in_progress' })).items;
    const assessmentId = running?.id ?? '';
    expect(await abandonAssessment(sapiens, { assessmentId })).toMatchObject({ status: 'abandoned', score: null });
    await expect(answerItem(sapiens, { assessmentId, position: 1, chosenOption: 0 })).rejects.toMatchObject({
      code: 'SAPIENS.ASSESSMENT_ENDED',
    });
    const idempotencyKey = fresh('key');
    const made = await Promise.all(stores.map((store) => startAssessment(store, { studentId, topic, idempotencyKey })));
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('ask active items only, and need one', async () => {
    const { topic, itemIds, skill } = await givenBank(sapiens, [{ discrimination: 1, location: 0 }]);
    const [itemId = ''] = itemIds;
    expect(await retireItem(sapiens, { itemId })).toMatchObject({ status: 'retired' });
    expect(await retireItem(sapiens, { itemId })).toMatchObject({ status: 'retired' });
    await expect(begin(topic)).rejects.toMatchObject({ code: 'SAPIENS.BANK_EMPTY' });
    await expect(retireItem(sapiens, { itemId: 'none' })).rejects.toMatchObject({ code: 'SAPIENS.ITEM_NOT_FOUND' });
    expect((await listItems(sapiens, { skillId: skill.id, status: 'active' })).items).toEqual([]);
    expect((await listItems(sapiens, { skillId: skill.id })).items).toHaveLength(1);
  });

  it('have an item bank with checked parameters', async () => {
    const { skill } = await givenBank(sapiens, []);
    const item = { skillId: skill.id, prompt: 'x', options: ['a', 'b'], correctOption: 0, discrimination: 2 };
    const add = (fields: object) => addItem(sapiens, { ...item, idempotencyKey: fresh('key'), ...fields });
    expect((await add({ intercept: 3 })).location).toBe(-1.5);
    for (const [fields, field] of [
      [{ location: 0, intercept: 0 }, 'location'],
      [{}, 'location'],
      [{ location: 0, correctOption: 2 }, 'correctOption'],
      [{ location: 0, options: ['a', 'a'] }, 'options'],
      [{ intercept: 100 }, 'intercept'],
      [{ location: 0, discrimination: 5 }, 'discrimination'],
    ] as const) {
      await expect(add(fields)).rejects.toMatchObject({ code: 'SAPIENS.INVALID_INPUT', meta: { fields: [field] } });
    }
    await expect(add({ skillId: 'none', location: 0 })).rejects.toMatchObject({ code: 'SAPIENS.SKILL_NOT_FOUND' });
    await expect(createSkill(sapiens, { slug: skill.slug, name: 'x', topic: 'x' })).rejects.toMatchObject({
      code: 'SAPIENS.SKILL_EXISTS',
    });
    await expect(createSkill(sapiens, { slug: 'x', name: 'x', topic: 'x', guess: 0.95 })).rejects.toMatchObject({
      meta: { fields: ['guess'] },
    });
    expect(await findSkill(sapiens, { slug: skill.slug })).toEqual(await getSkill(sapiens, { skillId: skill.id }));
    expect((await listSkills(sapiens, { topic: skill.topic })).items).toEqual([skill]);
  });

  it.each(PYBKT)('trace knowledge as pyBKT does with $parameters', async ({ parameters, answers, known }) => {
    const { skill } = await givenBank(sapiens, [], parameters);
    const [studentId, skillId] = [fresh('student'), skill.id];
    for (const answer of answers) {
      await recordPractice(sapiens, { studentId, skillId, isCorrect: answer === 1, idempotencyKey: fresh('key') });
    }

    // Attempts are listed newest first, with the mastery after each of them.
    const { items: rows } = await listAttempts(sapiens, { studentId, skillId });
    const after = rows.map(({ probability }) => probability).reverse();
    const errors = known.slice(1).map((expected, n) => Math.abs(expected - (after[n] ?? Number.NaN)));
    expect(Math.max(...errors)).toBeLessThan(1e-9);
    expect(rows.map(({ number }) => number)).toEqual(answers.map((_, n) => answers.length - n));
  });

  it('trace each attempt once when devices report at once, and publish mastery once', async () => {
    const { skill } = await givenBank(sapiens, []);
    const [studentId, skillId] = [fresh('student'), skill.id];
    const stores = givenStores(db(), 4);
    const idempotencyKey = fresh('key');
    await Promise.all([
      ...stores.map((store) => recordPractice(store, { studentId, skillId, isCorrect: true, idempotencyKey })),
      ...Array.from({ length: 11 }, (_, n) =>
        recordPractice(stores[n % 4] ?? sapiens, { studentId, skillId, isCorrect: true, idempotencyKey: fresh('key') }),
      ),
    ]);

    const mastery = await findMastery(sapiens, { studentId, skillId });
    expect(mastery).toMatchObject({ attempts: 12, correct: 12, masteredAt: expect.any(Date) });
    expect((await listMastery(sapiens, { studentId })).items).toEqual([mastery]);
    const events = (await published(db())).filter(({ key }) => key === studentId);
    expect(events.map(({ type }) => type)).toEqual(['sapiens.skill-mastered.v1']);
    expect((await findProfile(sapiens, { studentId }))?.strengths).toEqual([skill.topic]);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('leave mastery alone that an impossible observation says nothing about', async () => {
    const { skill } = await givenBank(sapiens, [], { prior: 1, learn: 0, guess: 0, slip: 0 });
    const attempt = { studentId: fresh('student'), skillId: skill.id, isCorrect: false, idempotencyKey: fresh('key') };

    expect((await recordPractice(sapiens, attempt)).probability).toBe(1);
  });

  it('make the profile: the ability of completed assessments, and answers are attempts', async () => {
    const { topic, skill } = await lsat();
    const studentId = fresh('student');
    let state = await begin(topic, { studentId, maxItems: 5 });
    while (state.nextItem !== null) {
      const { position } = state.nextItem;
      state = await answerItem(sapiens, { assessmentId: state.id, position, chosenOption: 1 });
    }

    const profile = await findProfile(sapiens, { studentId });
    expect(profile?.ability).toBeCloseTo(1 / (1 + Math.exp(-state.ability)), 12);
    expect(profile).toMatchObject({ level: 'intermediate' });
    const mastery = await findMastery(sapiens, { studentId, skillId: skill.id });
    expect(profile?.topicMastery).toEqual({ [topic]: mastery?.probability });
    expect(mastery).toMatchObject({ attempts: 5, correct: 5 });
    const { items: rows } = await listAttempts(sapiens, { studentId, skillId: skill.id });
    expect(new Set(rows.map(({ source }) => source))).toEqual(new Set(['assessment']));
    expect(await reconcile(sapiens)).toEqual([]);
  });
});
