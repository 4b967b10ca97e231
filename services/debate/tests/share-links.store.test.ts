/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  type CreateShareLinkInput,
  createShareLink,
  type Debate,
  followShareLink,
  listShareLinks,
  revokeShareLink,
  rotateShareToken,
  updateShareLink,
} from '../src';
import { fresh, givenStore, givenStores, outcomes } from './given';

const HOUR_MS = 3_600_000;
const NOT_FOUND = 'DEBATE.SHARE_NOT_FOUND';

describe('share links', () => {
  const db = useDatabase('debate');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let debate: Debate;
  beforeAll(() => {
    debate = givenStore(db());
  });
  afterAll(() => debate.close());

  const share = (change: Partial<CreateShareLinkInput> = {}) =>
    createShareLink(debate, { debateId: fresh('debate'), ownerId: 'ada', visibility: 'public', ...change });

  it('are opened by whom they are for, and do not exist for everybody else', async () => {
    const links = [
      await share(),
      await share({ visibility: 'team', orgId: 'org' }),
      await share({ visibility: 'private' }),
    ];
    const persons = [
      { userId: 'ada' },
      { userId: 'bob', orgIds: ['org', 'other'] },
      { userId: 'eve', orgIds: ['other'] },
      {},
    ];

    const opened = await Promise.all(
      links.map(({ token }) => outcomes(persons.map((person) => followShareLink(debate, { token, ...person })))),
    );

    expect(opened).toEqual([
      ['done', 'done', 'done', 'done'],
      ['done', 'done', NOT_FOUND, NOT_FOUND],
      ['done', NOT_FOUND, NOT_FOUND, NOT_FOUND],
    ]);
  });

  it('keep the hash of their token only, in every column of the database', async () => {
    const { token, link } = await share();

    const rows = await db().admin('SELECT * FROM share_links WHERE debate_id = $1', [link.debateId]);
    const [outbox] = await db().admin('SELECT jsonb_agg(payload) AS all FROM outbox');

    expect(JSON.stringify([rows, outbox])).not.toContain(token);
    expect(Object.keys(link)).not.toContain('token');
    expect(Object.keys((await debate.prisma.shareLink.findMany())[0] ?? {})).not.toContain('token');
    await expect(followShareLink(debate, { token: String(rows[0]?.['token']) })).rejects.toMatchObject({
      code: NOT_FOUND,
    });
  });

  it('count every view of sixteen concurrent ones', async () => {
    const stores = givenStores(db(), 4);
    const { token, link } = await share();

    await Promise.all(Array.from({ length: 16 }, (_, n) => followShareLink(stores[n % 4] as Debate, { token })));

    const [found] = (await listShareLinks(debate, { ownerId: 'ada', limit: 200 })).items.filter(
      ({ debateId }) => debateId === link.debateId,
    );
    expect(found).toMatchObject({ viewCount: 16, lastViewedAt: clock.now() });
    await Promise.all(stores.map((store) => store.close()));
  });

  it('expire by the clock of the database', async () => {
    const { token, link } = await share({ expiresInMs: HOUR_MS });
    await clock.move(HOUR_MS - 1);
    expect(await followShareLink(debate, { token })).toMatchObject({ viewCount: 1 });

    await clock.move(1);

    await expect(followShareLink(debate, { token })).rejects.toMatchObject({ code: NOT_FOUND });
    await updateShareLink(debate, { debateId: link.debateId, by: 'ada', expiresInMs: null });
    expect(await followShareLink(debate, { token })).toMatchObject({ viewCount: 2, expiresAt: null });
  });

  it('are one per debate, of eight concurrent calls', async () => {
    const debateId = fresh('debate');

    const made = await outcomes(Array.from({ length: 8 }, () => share({ debateId })));

    expect([...made].sort()).toEqual([...Array(7).fill('DEBATE.SHARE_EXISTS'), 'done']);
  });

  it('are changed, given a new token and revoked by their owner only', async () => {
    const { token, link } = await share();
    const [owner, other] = [
      { debateId: link.debateId, by: 'ada' },
      { debateId: link.debateId, by: 'eve' },
    ];
    const tried = await outcomes([
      updateShareLink(debate, { ...other, visibility: 'public' }),
      rotateShareToken(debate, other),
      revokeShareLink(debate, other),
    ]);
    expect(tried).toEqual(Array(3).fill(NOT_FOUND));

    const next = await rotateShareToken(debate, owner);
    expect(
      await outcomes([followShareLink(debate, { token }), followShareLink(debate, { token: next.token })]),
    ).toEqual([NOT_FOUND, 'done']);
    await expect(updateShareLink(debate, { ...owner, visibility: 'team' })).rejects.toMatchObject({
      code: 'DEBATE.INVALID_INPUT',
    });
    expect(
      await updateShareLink(debate, { ...owner, visibility: 'team', orgId: 'org', allowForking: true }),
    ).toMatchObject({
      ...{ visibility: 'team', orgId: 'org', allowForking: true, allowComments: false },
    });
    await revokeShareLink(debate, owner);
    await expect(followShareLink(debate, { token: next.token, userId: 'ada' })).rejects.toMatchObject({
      code: NOT_FOUND,
    });
  });
});
