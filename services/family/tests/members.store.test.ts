/** @server any */
import { useDatabase } from '@azora/db-testkit';
import {
  type Family,
  getMember,
  listMembers,
  listRelationships,
  openFamily,
  type Relation,
  relateMembers,
  saveMember,
  unrelateMembers,
} from '../src';
import { eventsFor, fresh, givenMember, givenStores, outcomes } from './given';

/** Each relation, and what the relative is to the member. */
const INVERSES: readonly (readonly [Relation, Relation])[] = [
  ['parent', 'child'],
  ['child', 'parent'],
  ['sibling', 'sibling'],
  ['friend', 'friend'],
  ['coordinator', 'coordinated'],
  ['coordinated', 'coordinator'],
];

describe('members', () => {
  const db = useDatabase('family');
  let family: Family;
  beforeAll(() => {
    family = openFamily({ url: db().url });
  });
  afterAll(() => family.close());

  const tiesOf = async (memberId: string) =>
    (await listRelationships(family, { memberId })).map(({ relation, relativeId }) => `${relation} ${relativeId}`);
  const pair = async () => [(await givenMember(family)).id, (await givenMember(family)).id] as const;

  it('are added and changed by their slug; saving the same again changes nothing', async () => {
    const input = {
      slug: fresh('m'),
      name: fresh('Zuri'),
      role: 'Cook',
      background: 'Cooks.',
      traits: ['kind', 'quick'],
    };
    const added = await saveMember(family, input);
    const changed = await saveMember(family, { ...input, mood: 'happy', temperature: 0.2 });

    expect(added).toMatchObject({ ...input, mood: 'neutral', temperature: 0.7, isActive: true, avatarUrl: null });
    expect(changed).toMatchObject({ id: added.id, mood: 'happy', temperature: 0.2, createdAt: added.createdAt });
    expect(await saveMember(family, { ...input, mood: 'happy', temperature: 0.2 })).toEqual(changed);
    expect(await getMember(family, { slug: input.slug })).toEqual(changed);
    expect(await eventsFor(db(), added.id)).toEqual(['member-saved', 'member-saved']);
  });

  it('have unique names, ignoring case', async () => {
    const { name } = await givenMember(family);

    await expect(givenMember(family, { name: name.toUpperCase() })).rejects.toMatchObject({
      code: 'FAMILY.NAME_TAKEN',
    });
  });

  it('are listed by name; inactive ones only when asked for', async () => {
    const { slug } = await givenMember(family, { isActive: false });
    const slugs = async (inactive: boolean) => (await listMembers(family, { inactive })).map((it) => it.slug);

    expect(await slugs(false)).not.toContain(slug);
    expect(await slugs(true)).toContain(slug);
    await expect(getMember(family, { slug: 'nobody' })).rejects.toMatchObject({ code: 'FAMILY.MEMBER_NOT_FOUND' });
  });

  it.each(INVERSES)('see the relation %s from both sides and lose it on both', async (relation, inverse) => {
    const [one, other] = await pair();
    await relateMembers(family, { memberId: one, relativeId: other, relation });
    await relateMembers(family, { memberId: one, relativeId: other, relation });
    await relateMembers(family, { memberId: other, relativeId: one, relation: inverse });

    expect([await tiesOf(one), await tiesOf(other)]).toEqual([[`${relation} ${other}`], [`${inverse} ${one}`]]);
    const tie = { memberId: other, relativeId: one, relation: inverse };
    expect([await unrelateMembers(family, tie), await unrelateMembers(family, tie)]).toEqual([true, false]);
    expect([await tiesOf(one), await tiesOf(other)]).toEqual([[], []]);
  });

  it.each([
    ['parent', 'sibling', 'FAMILY.RELATIONSHIP_CONFLICT'],
    ['parent', 'child', 'FAMILY.RELATIONSHIP_CYCLE'],
    ['sibling', 'parent', 'FAMILY.RELATIONSHIP_CONFLICT'],
    ['sibling', 'child', 'FAMILY.RELATIONSHIP_CONFLICT'],
    ['coordinator', 'coordinated', 'FAMILY.RELATIONSHIP_CONFLICT'],
    ['parent', 'friend', 'done'],
    ['sibling', 'coordinator', 'done'],
  ] as const)('that are %s cannot also be %s: %s', async (first, second, outcome) => {
    const [memberId, relativeId] = await pair();
    await relateMembers(family, { memberId, relativeId, relation: first });

    expect(await outcomes([relateMembers(family, { memberId, relativeId, relation: second })])).toEqual([outcome]);
  });

  it('never descend from themselves, not even when three statements that would close a circle race', async () => {
    const stores = givenStores(db(), 3);
    for (let round = 0; round < 5; round += 1) {
      const ids = [...(await pair()), (await givenMember(family)).id];
      const links = ids.map((memberId, n) => ({
        memberId,
        relativeId: ids[(n + 1) % 3] ?? '',
        relation: 'parent' as const,
      }));
      const settled = await outcomes(links.map((link, n) => relateMembers(stores[n] ?? family, link)));

      expect([...settled].sort()).toEqual(['FAMILY.RELATIONSHIP_CYCLE', 'done', 'done']);
    }
    await Promise.all(stores.map((store) => store.close()));
  });

  it('become friends once when both say so at the same time', async () => {
    const stores = givenStores(db(), 4);
    const [one, other] = await pair();
    const calls = stores.map((store, n) => {
      const [memberId, relativeId] = n % 2 === 0 ? [one, other] : [other, one];
      return relateMembers(store, { memberId, relativeId, relation: 'friend' });
    });

    expect(await outcomes(calls)).toEqual(Array(4).fill('done'));
    expect(await tiesOf(one)).toEqual([`friend ${other}`]);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('do not change their relationships under a snapshot that may be old', async () => {
    const [one, other] = await pair();
    const sql = `BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT relate_members('${one}', '${other}', 'parent'); COMMIT`;

    await expect(db().app(sql)).rejects.toMatchObject({ code: '25001' });
    await db().app('ROLLBACK');
    expect(await tiesOf(one)).toEqual([]);
  });

  it.each([
    [{ slug: 'Mama Elara' }, 'slug'],
    [{ traits: [] }, 'traits'],
    [{ traits: [' '] }, 'traits'],
    [{ temperature: 2.1 }, 'temperature'],
    [{ mood: 'grumpy' as 'sad' }, 'mood'],
  ])('reject %j', async (change, field) => {
    await expect(givenMember(family, change)).rejects.toMatchObject({
      code: 'FAMILY.INVALID_INPUT',
      meta: { fields: [field] },
    });
  });

  it('reject relationships with themselves and with nobody', async () => {
    const [one] = await pair();
    const calls = [one, 'nobody'].map((relativeId) =>
      relateMembers(family, { memberId: one, relativeId, relation: 'friend' }),
    );

    expect(await outcomes(calls)).toEqual(['FAMILY.INVALID_INPUT', 'FAMILY.MEMBER_NOT_FOUND']);
  });
});
