/** @server none */
import fc from 'fast-check';
import { rowsPerUser, seedId, seedUuid, volumeId, volumePerson, volumeUuid } from '../src/seed';

const CUID = /^c[0-9a-z]{24}$/;
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe('seed ids', () => {
  it('have the shape of the ids that Prisma generates', () => {
    fc.assert(
      fc.property(fc.string(), fc.nat(), (name, index) => {
        expect(seedId(name)).toMatch(CUID);
        expect(seedUuid(name)).toMatch(UUID_V7);
        expect(volumeId(name, index)).toMatch(CUID);
        expect(volumeUuid(name, index)).toMatch(UUID_V7);
      }),
    );
  });

  it('are the same on every run', () => {
    expect(seedId('auth.User.student')).toBe(seedId('auth.User.student'));
    expect([
      seedId('auth.User.student'),
      volumeId('auth.User', 7),
      volumeUuid('rag.RagChunk', 7),
    ]).toMatchInlineSnapshot(`
[
  "c4riijvtht7rdmiea8gso3dd1",
  "c3j3owwk20000000000000007",
  "019b76da-a800-720a-89df-000000000007",
]
`);
  });

  it('ascend with the index and differ between models', () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), fc.nat(1_000_000), (one, other) => {
        fc.pre(one < other);
        expect(volumeId('auth.User', one) < volumeId('auth.User', other)).toBe(true);
        expect(volumeUuid('auth.User', one) < volumeUuid('auth.User', other)).toBe(true);
      }),
    );
    expect(volumeId('auth.User', 1)).not.toBe(volumeId('auth.Session', 1));
  });

  it('of volume people are the ids of their rows in auth', () => {
    expect(volumePerson(12).id).toBe(volumeId('auth.User', 12));
  });
});

describe('rowsPerUser', () => {
  const block = { firstUser: 3, userCount: 3, now: new Date(0) };

  it('yields the rows of each user of the block in turn', () => {
    const rows = rowsPerUser(block, (user, { now }) => (user === 4 ? [] : [[user, now], [-user]]));

    expect([...rows]).toEqual([[3, block.now], [-3], [5, block.now], [-5]]);
  });

  it('asks for the rows of a user only when they are needed', () => {
    const asked: number[] = [];
    const rows = rowsPerUser(block, (user) => {
      asked.push(user);
      return [[user]];
    });

    expect(rows.next().value).toEqual([3]);
    expect(asked).toEqual([3]);
  });
});
