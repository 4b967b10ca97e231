/** @server any */
import { useDatabase } from '@azora/db-testkit';
import {
  addCard,
  addItem,
  answerItem,
  answerQuestion,
  appendChunk,
  appendMessage,
  askQuestion,
  beginMessage,
  createSkill,
  erasePerson,
  exportPerson,
  findProfile,
  listProfiles,
  openSapiens,
  recordInsight,
  recordPractice,
  recordStepProgress,
  retireItem,
  reviewCard,
  type Sapiens,
  saveProfile,
  startAssessment,
  startSession,
} from '../src';
import { fresh, givenBank, givenPath, givenSession, givenStores, published } from './given';

describe('the data of a person', () => {
  const db = useDatabase('sapiens');
  let sapiens: Sapiens;
  beforeAll(() => {
    sapiens = openSapiens({ url: db().url });
  });
  afterAll(() => sapiens.close());

  /** A student with rows in every table, whose texts hold the name. */
  async function givenPerson() {
    const [studentId, name] = [fresh('user'), fresh('Ada')];
    const key = () => `${name} ${fresh('key')}`;
    await saveProfile(sapiens, { studentId, goals: `${name} learns`, interests: [name] });
    const { id: sessionId } = await startSession(sapiens, { studentId, topic: name, idempotencyKey: key() });
    await appendMessage(sapiens, { sessionId, role: 'student', content: `I am ${name}`, idempotencyKey: key() });
    const { id: messageId } = await beginMessage(sapiens, { sessionId, idempotencyKey: key() });
    await appendChunk(sapiens, { messageId, number: 1, content: `Hello ${name}` });
    const insight = { sessionId, kind: 'strength', topic: name, content: name, confidence: 1 } as const;
    await recordInsight(sapiens, { ...insight, idempotencyKey: key() });
    const { stepIds } = await givenPath(sapiens, { studentId, title: name, idempotencyKey: key() });
    await recordStepProgress(sapiens, { stepId: stepIds[0] ?? '', percent: 100 });
    const { id: questionId } = await askQuestion(sapiens, {
      ...{ studentId, topic: name, question: `Who is ${name}?`, idempotencyKey: key() },
    });
    await answerQuestion(sapiens, { questionId, answer: `You, ${name}` });
    const bank = await givenBank(sapiens, [
      { discrimination: 1, location: 0 },
      { discrimination: 1, location: 1 },
    ]);
    const { id: assessmentId } = await startAssessment(sapiens, {
      studentId,
      topic: bank.topic,
      idempotencyKey: key(),
    });
    await answerItem(sapiens, { assessmentId, position: 1, chosenOption: 1 });
    const skill = await createSkill(sapiens, { slug: fresh('skill'), name: 'x', topic: 'x' });
    await recordPractice(sapiens, { studentId, skillId: skill.id, isCorrect: true, idempotencyKey: key() });
    const { id: cardId } = await addCard(sapiens, { studentId, front: name, back: name, idempotencyKey: key() });
    await reviewCard(sapiens, { cardId, number: 1, rating: 'good' });
    return { studentId, name };
  }

  it('is exported from every table, without the solution of the open item', async () => {
    const { studentId } = await givenPerson();
    const exported = await exportPerson(sapiens, studentId);

    const empty = Object.entries(exported).filter(([, rows]) => rows.length === 0);
    expect(empty.map(([name]) => name)).toEqual(['auditLogs']);
    const tables = await db().admin(`SELECT count(*)::int FROM pg_class WHERE relnamespace = 'public'::regnamespace
      AND relkind = 'r' AND relname NOT IN ('_prisma_migrations', 'skills', 'items', 'outbox', 'outbox_relay', 'inbox')`);
    expect(Object.keys(exported)).toHaveLength(Number(tables[0]?.['count']));
    expect(exported['assessmentItems']?.map((item) => 'correct_option' in item)).toEqual([true, false]);
    expect(Object.values(await exportPerson(sapiens, 'nobody')).flat()).toEqual([]);
  });

  it('is in the audit log when erased, as each change of the item bank is, once', async () => {
    const { studentId } = await givenPerson();
    const skill = await createSkill(sapiens, { slug: fresh('skill'), name: 'x', topic: 'x' });
    const item = {
      ...{ skillId: skill.id, prompt: 'x', options: ['a', 'b'], correctOption: 0, discrimination: 1, location: 0 },
      idempotencyKey: fresh('key'),
    };
    const added = await Promise.all([addItem(sapiens, item), addItem(sapiens, item)]);
    const itemId = added[0].id;
    await Promise.all([retireItem(sapiens, { itemId }), retireItem(sapiens, { itemId })]);
    await Promise.all([erasePerson(sapiens, studentId), erasePerson(sapiens, studentId)]);

    const entries = await db().app(
      `SELECT action, resource_type, resource_id, user_id FROM audit_logs WHERE resource_id = ANY ($1)
       ORDER BY created_at, action`,
      [[skill.id, itemId, studentId]],
    );
    expect(entries.map((entry) => Object.values(entry))).toEqual([
      ['skill.created', 'skill', skill.id, null],
      ['item.added', 'item', itemId, null],
      ['item.retired', 'item', itemId, null],
      ['student.erased', 'student', studentId, studentId],
    ]);
  });

  it('is deleted from every table, once, and the person can come back', async () => {
    const { studentId, name } = await givenPerson();
    const other = await givenPerson();
    const stores = givenStores(db(), 4);
    const erased = await Promise.all(stores.map((store) => erasePerson(store, studentId)));
    await Promise.all(stores.map((store) => store.close()));
    expect(erased.map(({ students }) => students).sort()).toEqual([0, 0, 0, 1]);

    const tables = await db().admin(`SELECT relname::text AS "table" FROM pg_class
      WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname NOT IN ('_prisma_migrations')`);
    for (const { table } of tables) {
      const [row] = await db().admin(`SELECT string_agg(to_jsonb(t)::text, ' ') AS text FROM "${table}" AS t`);
      expect([table, String(row?.['text']).includes(name)]).toEqual([table, false]);
    }
    expect(await findProfile(sapiens, { studentId })).toBeNull();
    expect(
      Object.values(await exportPerson(sapiens, studentId))
        .flat()
        .map(({ action }) => action),
    ).toEqual(['student.erased']);
    expect((await exportPerson(sapiens, other.studentId))['messages']).toHaveLength(2);
    expect((await published(db())).at(-1)).toEqual({
      ...{ type: 'sapiens.student-erased.v1', key: studentId, payload: { studentId } },
    });
    expect((await givenSession(sapiens, studentId)).studentId).toBe(studentId);
  });

  it('leaves nothing behind when the person acts while being erased', async () => {
    const { studentId } = await givenPerson();
    const stores = givenStores(db(), 4);
    const exported = await exportPerson(sapiens, studentId);
    const cardId = String(exported['cards']?.[0]?.['id']);
    const [session] = exported['tutoringSessions'] ?? [];
    const outcomes = await Promise.allSettled([
      erasePerson(stores[0] ?? sapiens, studentId),
      reviewCard(stores[1] ?? sapiens, { cardId, number: 2, rating: 'good' }),
      appendMessage(stores[2] ?? sapiens, {
        ...{ sessionId: String(session?.['id']), role: 'student', content: 'x', idempotencyKey: fresh('key') },
      }),
    ]);
    expect(outcomes[0]).toEqual({ status: 'fulfilled', value: { students: 1 } });
    const codes = outcomes.flatMap((it) => (it.status === 'rejected' ? [it.reason.code] : []));
    expect(codes.every((code) => /^SAPIENS\.(CARD|SESSION)_NOT_FOUND$/.test(code))).toBe(true);

    const left = Object.entries(await exportPerson(sapiens, studentId)).filter(([, rows]) => rows.length > 0);
    expect(left.map(([name]) => name)).toEqual(['auditLogs']);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('is what the student says in the profile, and what follows from insights', async () => {
    const { studentId, name } = await givenPerson();
    expect(await findProfile(sapiens, { studentId })).toMatchObject({ goals: `${name} learns`, strengths: [name] });
    const cleared = await saveProfile(sapiens, {
      studentId,
      goals: null,
      learningStyle: 'visual',
      preferredLanguage: 'zu-ZA',
    });

    expect(cleared).toMatchObject({
      goals: null,
      learningStyle: 'visual',
      preferredLanguage: 'zu-ZA',
      interests: [name],
    });
    expect((await listProfiles(sapiens, { level: 'expert' })).items).toEqual([]);
    expect((await listProfiles(sapiens, { limit: 1 })).items).toHaveLength(1);
    await expect(saveProfile(sapiens, { studentId, preferredLanguage: 'Zulu, please' })).rejects.toMatchObject({
      code: 'SAPIENS.INVALID_INPUT',
      meta: { fields: ['preferredLanguage'] },
    });
  });
});
