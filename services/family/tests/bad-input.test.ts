/** @server any */
import { acceptedInput, BAD, type BadCall, outcomeOfGood, rowsOf, useDatabase } from '@azora/db-testkit';
import * as store from '../src';
import { deterministicResponder, type Family, openFamily } from '../src';
import { givenMember, givenTalk, idsOf } from './given';

const KEY = { idempotencyKey: BAD.texts };
const USER = { userId: BAD.ids };
const MEMBER = { memberId: BAD.ids };
const TALK = { conversationId: BAD.ids, ...USER };
const PAGE = { limit: BAD.limits, cursor: BAD.cursors };
const POSITIONS = [...BAD.ordinals, ['2^31', 2 ** 31]] as const;
const TOKENS = [...BAD.counts, ['199', 199], ['100,001', 100_001]] as const;
const SLUGS = [...BAD.texts, ['upper case', 'Elara'], ['two hyphens', 'a--b']] as const;
const SIGNALS = [['no signal', {}]] as const;
const key = 'bad-input';
const responder = deterministicResponder();

/** The rows that valid input names. */
const ids = {
  member: '',
  relative: '',
  talk: { conversationId: '', userId: '' },
  gone: { conversationId: '', userId: '' },
};

/** Each function with valid input, and invalid values of its fields. */
const callsOf = (): Readonly<Record<string, BadCall<Family>>> => ({
  saveMember: [
    store.saveMember,
    { slug: 'bad-input', name: 'x', role: 'x', background: 'x', traits: ['x'] },
    {
      ...{ slug: SLUGS, name: BAD.texts, role: BAD.texts, background: BAD.texts, mood: BAD.choices },
      traits: [
        ...[['none', []] as const, ['21', Array.from({ length: 21 }, () => 'x')] as const, ['text', 'x'] as const],
        ...BAD.texts.map(([what, text]) => [what, [text]] as const),
      ],
      temperature: [...BAD.shares.filter(([what]) => what !== '1.1'), ['2.1', 2.1]],
      ...{ avatarUrl: BAD.texts, isActive: BAD.flags },
    },
  ],
  getMember: [store.getMember, { slug: 'x' }, { slug: SLUGS }],
  listMembers: [store.listMembers, {}, { inactive: BAD.flags }],
  relateMembers: [
    store.relateMembers,
    { memberId: ids.member, relativeId: ids.relative, relation: 'friend' },
    { ...MEMBER, relativeId: [...BAD.ids, ['the member', ids.member]], relation: BAD.choices },
  ],
  unrelateMembers: [
    store.unrelateMembers,
    { memberId: ids.member, relativeId: ids.relative, relation: 'friend' },
    { ...MEMBER, relativeId: BAD.ids, relation: BAD.choices },
  ],
  listRelationships: [store.listRelationships, { memberId: ids.member }, MEMBER],
  startConversation: [
    store.startConversation,
    { userId: 'ada', memberId: ids.member },
    { ...USER, ...MEMBER, title: BAD.texts },
  ],
  updateConversation: [
    store.updateConversation,
    ids.talk,
    { ...TALK, title: BAD.textsOrNull, context: [...BAD.objects, ['null', null]] },
  ],
  endConversation: [store.endConversation, ids.gone, TALK],
  deleteConversation: [store.deleteConversation, ids.gone, TALK],
  getConversation: [store.getConversation, ids.talk, TALK],
  listConversations: [store.listConversations, { userId: 'ada' }, { ...USER, ...MEMBER, ...PAGE }],
  saveSummary: [
    store.saveSummary,
    { ...ids.talk, summary: 'x', upTo: 1 },
    { ...TALK, summary: BAD.texts, upTo: [...POSITIONS, ['after the last message', 1_000]] },
  ],
  appendMessage: [
    store.appendMessage,
    { ...ids.talk, content: 'x', idempotencyKey: key },
    { ...TALK, role: [...BAD.choices, ['that of a member', 'member']], content: BAD.texts, ...KEY },
  ],
  answerMessage: [
    store.answerMessage,
    { ...ids.talk, position: 1, content: 'x' },
    { ...TALK, ...MEMBER, position: POSITIONS, content: BAD.texts, mood: BAD.choices, kind: BAD.choices },
  ],
  listMessages: [store.listMessages, ids.talk, { ...TALK, ...PAGE }],
  recallMemories: [store.recallMemories, { userId: 'ada', text: 'x' }, { ...USER, text: BAD.texts, limit: BAD.limits }],
  say: [
    (family, input) => store.say(family, responder, input),
    { ...ids.talk, content: 'x', idempotencyKey: key },
    { ...TALK, content: BAD.texts, route: BAD.flags, maxTokens: TOKENS, signal: SIGNALS, ...KEY },
  ],
  summarizeConversation: [
    (family, input) => store.summarizeConversation(family, responder, input),
    ids.talk,
    { ...TALK, keep: [...BAD.counts, ['1,001', 1_001]], signal: SIGNALS },
  ],
  assembleContext: [
    store.assembleContext,
    { ...ids.talk, position: 1 },
    { ...TALK, ...MEMBER, position: POSITIONS, maxTokens: TOKENS, countTokens: [['a number', 4]] },
  ],
  suggestMember: [store.suggestMember, { text: 'x' }, { text: BAD.texts }],
  recordInteraction: [
    store.recordInteraction,
    { userId: 'ada', memberId: ids.member, kind: 'question', idempotencyKey: key },
    { ...USER, ...MEMBER, kind: BAD.choices, mood: BAD.choices, text: BAD.texts, metadata: BAD.objects, ...KEY },
  ],
  listInteractions: [store.listInteractions, { userId: 'ada' }, { ...USER, ...MEMBER, ...PAGE }],
  listAffinities: [store.listAffinities, { userId: 'ada' }, USER],
  affinityCourse: [
    store.affinityCourse,
    { userId: 'ada', memberId: ids.member, at: [new Date(0)] },
    {
      ...{ ...USER, ...MEMBER },
      at: [
        ...[['none', []] as const, ['401', Array.from({ length: 401 }, () => new Date(0))] as const],
        ...BAD.times.map(([what, time]) => [what, [time]] as const),
      ],
    },
  ],
});

describe('invalid input', () => {
  const db = useDatabase('family');
  let family: Family;
  beforeAll(async () => {
    family = openFamily({ url: db().url });
    const [member, relative] = [await givenMember(family), await givenMember(family)];
    const talk = idsOf(await givenTalk(family, member.id));
    await store.appendMessage(family, { ...talk, content: 'Hello', idempotencyKey: 'message' });
    Object.assign(ids, { member: member.id, relative: relative.id, talk, gone: idsOf(await givenTalk(family)) });
  });
  afterAll(() => family.close());

  it.each(Object.keys(callsOf()))('of %s is rejected with the name of the field, and changes nothing', async (name) => {
    const call = callsOf()[name] as BadCall<Family>;
    const before = await rowsOf(db());

    expect(await acceptedInput(family, 'FAMILY.INVALID_INPUT', call)).toEqual([]);
    expect(await rowsOf(db())).toEqual(before);
    expect(await outcomeOfGood(family, call)).not.toBe('FAMILY.INVALID_INPUT');
  });

  it('of the functions about a person is rejected', async () => {
    for (const [, id] of BAD.ids) {
      for (const call of [store.exportPerson(family, id as string), store.erasePerson(family, id as string)])
        await expect(call).rejects.toMatchObject({ code: 'FAMILY.INVALID_INPUT' });
    }
  });

  it('is tested for every function with input', () => {
    const others = [
      ...['openFamily', 'reconcile', 'exportPerson', 'erasePerson', 'estimateTokens', 'analyzeSentiment'],
      ...['deterministicResponder', 'ollamaResponder', 'openAiResponder'],
    ];
    const functions = Object.entries(store).flatMap(([name, value]) => (typeof value === 'function' ? [name] : []));

    expect(functions.filter((name) => /^[a-z]/.test(name) && !others.includes(name)).sort()).toEqual(
      Object.keys(callsOf()).sort(),
    );
  });
});
