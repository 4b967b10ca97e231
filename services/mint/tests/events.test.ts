/** @server any */
import { createHash } from 'node:crypto';
import { useDatabase, useTestClock } from '@azora/db-testkit';
import Ajv from 'ajv/dist/2020';
import * as store from '../src';
import { EVENTS, type Mint, openMint } from '../src';
import { countPublished, namesOf, publishedAfter } from './events-given';
import { dump, fresh, givenHold, givenWallet, HOUR_MS } from './ledger-given';
import { givenStake } from './stakes-given';

const DAY_MS = 86_400_000;
const BY_NAME = new Map<string, (typeof EVENTS)[number]>(EVENTS.map((event) => [event.type, event]));
/** Text of a caller, which no event repeats. */
const PERSONAL = ['Ada Lovelace', 'ada@azora.world', '12 Main Street', '203.0.113.7', 'of the tooth'];
const description = PERSONAL.join(', ');

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** What a call needs, and the call under a key. */
type Call = readonly [
  name: string,
  how: string,
  prepare: (mint: Mint) => Promise<(idempotencyKey: string) => Promise<unknown>>,
  events: readonly string[],
];

/** Functions that change nothing that other services must know. */
const SILENT = [
  ...['openMint', 'getWallet', 'findWallet', 'getHold', 'getStake', 'history', 'balanceAt', 'listAnchors', 'reconcile'],
  ...['stakingReward', 'defaultRate', 'knowledgeDifficulty', 'knowledgeReward', 'halvings', 'divideHalfEven'],
];

const paidStake = async (mint: Mint, at: { move(milliseconds: number): Promise<void> }) => {
  const { id: stakeId } = await givenStake(mint, { lockDays: 1 });
  await at.move(2 * DAY_MS);
  await store.accrueRewards(mint, { stakeId });
  return stakeId;
};

describe('the events of mint', () => {
  const db = useDatabase('mint');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  const ajv = new Ajv({ strict: false, validateFormats: false });
  const seen = new Set<string>();
  let mint: Mint;
  beforeAll(() => {
    mint = openMint({ url: db().url });
  });
  afterAll(() => mint.close());

  const CALLS: readonly Call[] = [
    [
      'openWallet',
      'of a new user',
      async () => {
        const userId = fresh('user');
        return () => store.openWallet(mint, { userId, currency: 'USD' });
      },
      ['wallet-opened'],
    ],
    [
      'openWallet',
      'that exists',
      async () => {
        const { userId } = await store.getWallet(mint, { walletId: await givenWallet(mint, '0') });
        return () => store.openWallet(mint, { userId: String(userId), currency: 'AZR' });
      },
      [],
    ],
    [
      'closeWallet',
      'that is empty',
      async () => {
        const walletId = await givenWallet(mint, '0');
        return () => store.closeWallet(mint, { walletId });
      },
      ['wallet-closed'],
    ],
    [
      'transfer',
      'between users',
      async () => {
        const [from, to] = [await givenWallet(mint, '5'), await givenWallet(mint, '0')];
        return (idempotencyKey) => store.transfer(mint, { from, to, amount: '1.5', description, idempotencyKey });
      },
      ['transaction-posted'],
    ],
    [
      'transfer',
      'gathered with others',
      async () => {
        const [from, to] = [await givenWallet(mint, '5'), await givenWallet(mint, '0')];
        const transfer = (idempotencyKey: string) =>
          store.transfer(mint, { from, to, amount: '1', description, idempotencyKey });
        return async (key) => {
          const made = await Promise.allSettled([1, 2, 3, 4, 5].map((n) => transfer(`${key} ${n}`)));
          for (const result of made) if (result.status === 'rejected') throw result.reason;
        };
      },
      Array.from({ length: 5 }, () => 'transaction-posted'),
    ],
    [
      'transferMany',
      'to two users',
      async () => {
        const [from, ben, eve] = [
          await givenWallet(mint, '5'),
          await givenWallet(mint, '0'),
          await givenWallet(mint, '0'),
        ];
        const transfers = [ben, eve].map((to) => ({ from, to, amount: '1', description }));
        return (idempotencyKey) => store.transferMany(mint, { transfers, idempotencyKey });
      },
      ['transaction-posted', 'transaction-posted'],
    ],
    ...(['mint', 'reward'] as const).map(
      (type): Call => [
        'mint',
        `of the type ${type}`,
        async () => {
          const to = await givenWallet(mint, '0');
          return (idempotencyKey) => store.mint(mint, { to, amount: '7', type, description, idempotencyKey });
        },
        ['transaction-posted'],
      ],
    ),
    [
      'burn',
      'of a part',
      async () => {
        const from = await givenWallet(mint, '7');
        return (idempotencyKey) => store.burn(mint, { from, amount: '2', description, idempotencyKey });
      },
      ['transaction-posted'],
    ],
    [
      'hold',
      'without a receiver',
      async () => {
        const from = await givenWallet(mint, '7');
        return (idempotencyKey) =>
          store.hold(mint, { from, amount: '2', expiresIn: HOUR_MS, description, idempotencyKey });
      },
      ['hold-placed'],
    ],
    [
      'capture',
      'of a part',
      async () => {
        const [from, to] = [await givenWallet(mint, '7'), await givenWallet(mint, '0')];
        const holdId = await givenHold(mint, from, '2');
        return (idempotencyKey) => store.capture(mint, { holdId, to, amount: '1', description, idempotencyKey });
      },
      ['hold-captured', 'transaction-posted'],
    ],
    [
      'release',
      'of a hold with a receiver',
      async () => {
        const [from, to] = [await givenWallet(mint, '7'), await givenWallet(mint, '0')];
        const holdId = await givenHold(mint, from, '2', to);
        return (idempotencyKey) => store.release(mint, { holdId, idempotencyKey });
      },
      ['hold-released'],
    ],
    [
      'releaseExpired',
      'of two holds',
      async () => {
        const from = await givenWallet(mint, '7');
        await clock.move(DAY_MS);
        await store.releaseExpired(mint);
        for (const amount of ['1', '2']) await givenHold(mint, from, amount);
        await clock.move(2 * HOUR_MS);
        return () => store.releaseExpired(mint);
      },
      ['hold-released', 'hold-released'],
    ],
    [
      'stake',
      'for a day',
      async () => {
        const walletId = await givenWallet(mint, '7');
        return (idempotencyKey) => store.stake(mint, { walletId, amount: '2', lockDays: 1, idempotencyKey });
      },
      ['stake-opened', 'transaction-posted'],
    ],
    [
      'accrueRewards',
      'of one stake',
      async () => {
        const { id: stakeId } = await givenStake(mint);
        await clock.move(DAY_MS);
        return () => store.accrueRewards(mint, { stakeId });
      },
      [],
    ],
    [
      'claimRewards',
      'that accrued',
      async () => {
        const stakeId = await paidStake(mint, clock);
        return (idempotencyKey) => store.claimRewards(mint, { stakeId, idempotencyKey });
      },
      ['stake-rewarded', 'transaction-posted'],
    ],
    [
      'unstake',
      'with rewards',
      async () => {
        const stakeId = await paidStake(mint, clock);
        return (idempotencyKey) => store.unstake(mint, { stakeId, idempotencyKey });
      },
      ['stake-rewarded', 'stake-ended', 'transaction-posted', 'transaction-posted'],
    ],
    [
      'submitKnowledge',
      'of a good proof',
      async () => {
        const walletId = await givenWallet(mint, '0');
        const proof = { walletId, activity: 'lesson', proof: description, knowledgeScore: '0.9' } as const;
        return (idempotencyKey) => store.submitKnowledge(mint, { ...proof, idempotencyKey });
      },
      ['transaction-posted', 'knowledge-rewarded'],
    ],
    [
      'submitKnowledge',
      'of a poor proof',
      async () => {
        const walletId = await givenWallet(mint, '0');
        const proof = {
          walletId,
          courseId: 'python',
          activity: 'course',
          proof: description,
          knowledgeScore: '0.1',
        } as const;
        return (idempotencyKey) => store.submitKnowledge(mint, { ...proof, idempotencyKey });
      },
      ['knowledge-rejected'],
    ],
    ['snapshotMetrics', 'of now', async () => () => store.snapshotMetrics(mint), []],
  ];

  it.each(CALLS)('%s %s publishes its events once, as they are declared', async (_name, _how, prepare, expected) => {
    const call = await prepare(mint);
    const before = await countPublished(db());
    const key = `${fresh('key')} ${description}`;

    await call(key);

    const events = await publishedAfter(db(), before);
    expect(namesOf(events)).toEqual(expected);
    for (const { type, key: stored, payload } of events) {
      const declared = BY_NAME.get(type);
      if (declared === undefined) throw new Error(`${type} is not declared`);
      const validate = ajv.compile(declared.jsonSchema);
      validate(payload);
      expect([type, validate.errors]).toEqual([type, null]);
      expect(stored).toBe(declared.key(declared.data.parse(payload) as never));
      seen.add(type);
    }
    for (const text of PERSONAL) expect(JSON.stringify(events)).not.toContain(text);

    // The same request again.
    if (_name !== 'snapshotMetrics') await call(key);
    expect(await publishedAfter(db(), before + events.length)).toEqual([]);
    await clock.set('2050-01-01T00:00:00Z');
    expect(await store.reconcile(mint)).toEqual([]);
  });

  it('are tested for every function of the store, and every declared type was published', () => {
    const functions = Object.entries(store)
      .filter(([name, value]) => typeof value === 'function' && /^[a-z]/.test(name))
      .map(([name]) => name);
    const tested = new Set<string>(CALLS.map(([name]) => name));

    expect(functions.filter((name) => !tested.has(name)).sort()).toEqual([...SILENT].sort());
    expect([...BY_NAME.keys()].filter((type) => !seen.has(type))).toEqual([]);
  });

  describe('in a transaction that fails in the end', () => {
    beforeAll(() =>
      db().admin(`
        CREATE FUNCTION fail_in_the_end() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'in the end'; END $$;
        CREATE CONSTRAINT TRIGGER fail_in_the_end AFTER INSERT ON outbox DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
          EXECUTE FUNCTION fail_in_the_end();
        ALTER TABLE outbox DISABLE TRIGGER fail_in_the_end`),
    );
    afterAll(() => db().admin('DROP TRIGGER fail_in_the_end ON outbox'));

    it.each(CALLS.filter(([, , , events]) => events.length > 0))(
      '%s %s publishes nothing',
      async (_name, _how, prepare) => {
        const call = await prepare(mint);
        const state = async () => [sha256(await dump(db())), await countPublished(db())];
        const before = await state();
        await db().admin('ALTER TABLE outbox ENABLE TRIGGER fail_in_the_end');
        try {
          await expect(call(fresh('key'))).rejects.toMatchObject({ code: 'DATABASE.FAILED' });
        } finally {
          await db().admin('ALTER TABLE outbox DISABLE TRIGGER fail_in_the_end');
        }

        expect(await state()).toEqual(before);
      },
    );
  });
});
