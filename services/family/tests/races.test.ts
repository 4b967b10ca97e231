/** @server any */
import { callAtGate, type RacingCalls, racePairs, useDatabase } from '@azora/db-testkit';
import {
  answerMessage,
  appendMessage,
  deleteConversation,
  endConversation,
  erasePerson,
  type Family,
  getMember,
  openFamily,
  type Relation,
  reconcile,
  recordInteraction,
  relateMembers,
  type SaveMemberInput,
  saveMember,
  saveSummary,
  startConversation,
  unrelateMembers,
  updateConversation,
} from '../src';
import { fresh, givenMember, givenTalk, idsOf } from './given';

/** Everything about a user but ids and times. */
const USER_STATE = `
  SELECT
    (SELECT json_agg(json_build_array(title, mood, message_count, round(valence::numeric, 6), summary, summarized_to, ended_at IS NULL)
      ORDER BY started_at) FROM conversations WHERE user_id = $1) AS conversations,
    (SELECT json_agg(json_build_array(position, role, content, mood, answers) ORDER BY position, content) FROM messages
      WHERE user_id = $1) AS messages,
    (SELECT json_agg(json_build_array(kind, mood, conversation_id IS NULL) ORDER BY kind) FROM family_interactions
      WHERE user_id = $1) AS interactions,
    (SELECT json_agg(interactions) FROM affinities WHERE user_id = $1) AS affinities,
    (SELECT json_agg(json_build_array(word, message_count) ORDER BY word) FROM memory_words WHERE user_id = $1) AS words,
    (SELECT array_agg(type ORDER BY position) FROM outbox WHERE payload ->> 'userId' = $1) AS events`;

/** Everything about a member but ids and times. */
const MEMBER_STATE = `
  SELECT
    (SELECT json_build_array(role, is_active, updated_at >= created_at) FROM family_members WHERE id = $1) AS member,
    (SELECT json_agg(relation ORDER BY relation) FROM ties_of($1)) AS relations,
    (SELECT count(*) FROM conversations WHERE member_id = $1) AS conversations,
    (SELECT array_agg(type ORDER BY position) FROM outbox WHERE key = $1 OR payload ->> 'memberId' = $1) AS events`;

const RELATIONSHIPS = "SELECT pg_advisory_xact_lock(hashtextextended('family.relationships', 0))";

describe('races in family', () => {
  const db = useDatabase('family');
  let family: Family;
  beforeAll(async () => {
    // Functions, because planning these queries takes longer than running them.
    for (const [name, query] of [
      ['user_state', USER_STATE],
      ['member_state', MEMBER_STATE],
    ])
      await db().admin(`CREATE FUNCTION ${name}(text) RETURNS json LANGUAGE plpgsql
        AS $$ BEGIN RETURN (SELECT to_json(s) FROM (${query}) AS s); END $$`);
    family = openFamily({ url: db().url, pool: { max: 2 } });
  });
  afterEach(async () => {
    expect(await reconcile(family)).toEqual([]);
  });
  afterAll(() => family.close());

  const key = () => ({ idempotencyKey: fresh('key') });
  const memberState = async (memberId: string) =>
    (await db().admin('SELECT member_state($1)', [memberId]))[0]?.['member_state'];

  it('of calls on a conversation leave what one order of the two leaves', async () => {
    const { id: memberId } = await givenMember(family);
    const answer = (content: string) => async (row: { readonly conversationId: string; readonly userId: string }) =>
      (await answerMessage(family, { ...idsIn(row), position: 1, content })).content;
    const idsIn = ({ conversationId, userId }: { readonly conversationId: string; readonly userId: string }) => ({
      conversationId,
      userId,
    });
    const unexplained = await racePairs(db(), {
      given: async () => {
        const ids = idsOf(await givenTalk(family, memberId));
        const said = { ...ids, content: 'I love rivers', ...key() };
        await appendMessage(family, said);
        return { ...ids, said };
      },
      gate: ({ userId }) => ({ text: 'SELECT lock_user($1)', values: [userId] }),
      calls: {
        erase: async (row) => (await erasePerson(family, row.userId)).messages,
        delete: (row) => deleteConversation(family, idsIn(row)),
        say: async (row) => (await appendMessage(family, { ...row.said, content: 'I hate rain', ...key() })).position,
        repeat: async (row) => (await appendMessage(family, row.said)).position,
        'answer a': answer('Which one?'),
        'answer b': answer('So do I'),
        rename: (row) => updateConversation(family, { ...idsIn(row), title: 'Rivers' }),
        end: (row) => endConversation(family, idsIn(row)),
        summarize: (row) => saveSummary(family, { ...idsIn(row), summary: 'Rivers', upTo: 1 }),
        start: async (row) =>
          (await startConversation(family, { userId: row.userId, memberId })).id === row.conversationId,
        meet: (row) => recordInteraction(family, { userId: row.userId, memberId, kind: 'advice', ...key() }),
      },
      stateOf: async ({ userId }) => (await db().admin('SELECT user_state($1)', [userId]))[0]?.['user_state'],
    });

    expect(unexplained).toEqual([]);
  });

  interface Two {
    readonly memberId: string;
    readonly relativeId: string;
  }
  const givenTwo = async (): Promise<Two> => ({
    memberId: (await givenMember(family)).id,
    relativeId: (await givenMember(family)).id,
  });
  const relate = (relation: Relation) => (two: Two) => relateMembers(family, { ...two, relation });
  const swapped = ({ memberId, relativeId }: Two): Two => ({ memberId: relativeId, relativeId: memberId });

  it('of relationships of two members leave what one order of the two leaves', async () => {
    const unexplained = await racePairs<Two>(db(), {
      given: givenTwo,
      gate: () => ({ text: RELATIONSHIPS }),
      calls: {
        parent: relate('parent'),
        child: relate('child'),
        sibling: relate('sibling'),
        friend: relate('friend'),
        'friend of the other': (two) => relate('friend')(swapped(two)),
        coordinator: relate('coordinator'),
        coordinated: relate('coordinated'),
        unrelate: (two) => unrelateMembers(family, { ...two, relation: 'friend' }),
      },
      stateOf: ({ memberId }) => memberState(memberId),
    });

    expect(unexplained).toEqual([]);
  });

  it('of changes of a friendship leave what one order of the two leaves', async () => {
    const unexplained = await racePairs<Two>(db(), {
      given: async () => {
        const two = await givenTwo();
        await relate('friend')(two);
        return two;
      },
      gate: ({ memberId }) => ({
        text: 'SELECT FROM family_relationships WHERE member_id = $1 FOR UPDATE',
        values: [memberId],
      }),
      calls: {
        unrelate: (two) => unrelateMembers(family, { ...two, relation: 'friend' }),
        'unrelate the other': (two) => unrelateMembers(family, { ...swapped(two), relation: 'friend' }),
        friend: relate('friend'),
        sibling: relate('sibling'),
      },
      stateOf: ({ memberId }) => memberState(memberId),
    });

    expect(unexplained).toEqual([]);
  });

  it('of calls on a member leave what one order of the two leaves', async () => {
    type Row = Two & { readonly saved: SaveMemberInput };
    const race: RacingCalls<Row> = {
      given: async () => {
        const slug = fresh('member');
        const saved = { slug, name: slug, role: 'Teacher', background: 'Taught half the village.', traits: ['wise'] };
        return { saved, memberId: (await saveMember(family, saved)).id, relativeId: (await givenMember(family)).id };
      },
      gate: ({ memberId }) => ({ text: 'SELECT FROM family_members WHERE id = $1 FOR UPDATE', values: [memberId] }),
      calls: {
        retire: async ({ saved }) => (await saveMember(family, { ...saved, isActive: false })).isActive,
        rename: async ({ saved }) => (await saveMember(family, { ...saved, role: 'Nurse' })).role,
        save: async ({ saved }) => (await saveMember(family, saved)).role,
        start: ({ memberId }) => startConversation(family, { userId: fresh('ada'), memberId }),
        relate: ({ memberId, relativeId }) => relateMembers(family, { memberId, relativeId, relation: 'sibling' }),
      },
      stateOf: ({ memberId }) => memberState(memberId),
    };

    expect(await racePairs(db(), race)).toEqual([]);
  });

  it('of two calls that add a member give it no change before its creation', async () => {
    const slug = fresh('member');
    const save = (role: string) => async () =>
      (await saveMember(family, { slug, name: slug, role, background: 'Taught half the village.', traits: ['wise'] }))
        .role;
    // Stops the first call before it inserts, so that the second one adds the member.
    await db().admin(`CREATE FUNCTION stop_member() RETURNS trigger LANGUAGE plpgsql
      AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(18); RETURN NEW; END'`);
    await db().admin(`CREATE TRIGGER stopped BEFORE INSERT ON family_members FOR EACH ROW WHEN (NEW.role = 'Late')
      EXECUTE FUNCTION stop_member()`);

    const outcomes = await callAtGate(db(), { text: 'SELECT pg_advisory_xact_lock(18)' }, [
      save('Late'),
      save('Early'),
    ]);

    await db().admin('DROP FUNCTION stop_member() CASCADE');
    expect(outcomes).toEqual(['Late', 'Early']);
    const { role, createdAt, updatedAt } = await getMember(family, { slug });
    expect([role, updatedAt > createdAt]).toEqual(['Late', true]);
  });
});
