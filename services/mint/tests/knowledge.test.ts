/** @server any */
import { createHash } from 'node:crypto';
import { useDatabase } from '@azora/db-testkit';
import {
  $Enums,
  closeWallet,
  divideHalfEven,
  knowledgeDifficulty,
  knowledgeReward,
  openMint,
  Prisma,
  type SubmitKnowledgeInput,
  submitKnowledge,
} from '../src';
import { balanceOf, fresh, givenWallet, rowCounts, useMint } from './stakes-given';

const DAY = 86_400;
const sha256 = (data: string | Uint8Array) => createHash('sha256').update(data).digest('hex');

describe('submitKnowledge', () => {
  const db = useDatabase('mint');
  const given = useMint(db);

  const submission = (walletId: string, other: Partial<SubmitKnowledgeInput> = {}): SubmitKnowledgeInput => ({
    walletId,
    activity: 'lesson',
    proof: fresh('proof'),
    knowledgeScore: '1',
    idempotencyKey: fresh('submission'),
    ...other,
  });
  const submit = (walletId: string, other: Partial<SubmitKnowledgeInput> = {}) =>
    submitKnowledge(given().mint, submission(walletId, other));

  const rewards = (records: readonly { reward: Prisma.Decimal }[]) =>
    records.reduce((sum, { reward }) => sum.add(reward), new Prisma.Decimal(0));

  /** Sets the mined total of all wallets. */
  async function givenMinedByAll(mined: string): Promise<void> {
    await db().admin(`ALTER TABLE mining_totals DISABLE TRIGGER mining_totals_follow_records;
      INSERT INTO mining_totals (wallet_id, mined) VALUES ('treasury-AZR', ${mined})
        ON CONFLICT (wallet_id) DO UPDATE SET mined = excluded.mined;
      ALTER TABLE mining_totals ENABLE TRIGGER mining_totals_follow_records`);
  }

  it('pays the reward from the treasury and stores the hash of the proof', async () => {
    const walletId = await givenWallet(given().mint, '0');
    const now = await given().at(60);

    const record = await submit(walletId, {
      activity: 'course',
      courseId: 'python',
      proof: 'exam',
      knowledgeScore: '0.85',
    });

    expect(record).toEqual({
      id: expect.stringMatching(/^c[0-9a-z]{24}$/),
      walletId,
      activity: 'course',
      courseId: 'python',
      proofHash: sha256('exam'),
      knowledgeScore: new Prisma.Decimal('0.85'),
      difficulty: new Prisma.Decimal(1),
      reward: new Prisma.Decimal('42.5'),
      status: 'rewarded',
      rejection: null,
      transactionId: expect.any(String),
      decidedAt: now,
      createdAt: now,
      updatedAt: now,
    });
    expect(await given().mint.prisma.miningRecord.findUnique({ where: { id: record.id } })).toMatchObject(record);
    const paid = await given().mint.prisma.transaction.findUnique({ where: { id: record.transactionId ?? '' } });
    expect(paid).toMatchObject({ type: 'mining', fromId: 'treasury-AZR', toId: walletId, createdAt: now });
    expect(await given().mint.prisma.wallet.findUnique({ where: { id: walletId } })).toMatchObject({
      balance: new Prisma.Decimal('42.5'),
      earned: new Prisma.Decimal('42.5'),
    });
  });

  it('accepts bytes, with the same hash as the same text', async () => {
    const walletId = await givenWallet(given().mint, '0');

    const record = await submit(walletId, { proof: new TextEncoder().encode('grüße') });

    expect(record.proofHash).toBe(sha256('grüße'));
    await expect(submit(walletId, { proof: 'grüße' })).rejects.toMatchObject({ code: 'MINT.PROOF_REWARDED' });
  });

  it('raises the difficulty of a wallet by what it has mined, and of no other wallet', async () => {
    const [walletId, other] = [await givenWallet(given().mint, '0'), await givenWallet(given().mint, '0')];

    const first = await submit(walletId, { activity: 'contribution' });
    const second = await submit(walletId, { activity: 'contribution' });

    const difficulty = knowledgeDifficulty('contribution', first.reward);
    expect(second.difficulty.toFixed()).toBe(difficulty.toFixed());
    expect(second.reward.toFixed()).toBe(
      knowledgeReward({ activity: 'contribution', score: 1, difficulty, halvings: 0 }).toFixed(),
    );
    expect((await submit(other, { activity: 'contribution' })).reward.toFixed()).toBe(first.reward.toFixed());
  });

  it('rewards a proof once when twenty submissions race with different keys', async () => {
    const walletId = await givenWallet(given().mint, '0');

    const settled = await Promise.allSettled(Array.from({ length: 20 }, () => submit(walletId, { proof: 'one' })));

    const refused = settled.filter((result) => result.status === 'rejected').map(({ reason }) => reason.code);
    expect(refused).toEqual(Array(19).fill('MINT.PROOF_REWARDED'));
    expect(await balanceOf(given().mint, walletId)).toBe('5');
  });

  it('gives one answer when twenty submissions race with one key, and to a later repeat', async () => {
    const walletId = await givenWallet(given().mint, '0');
    const input = submission(walletId);

    const answers = await Promise.all(Array.from({ length: 20 }, () => submitKnowledge(given().mint, input)));
    await given().at(9 * DAY);

    const [first] = answers;
    expect(answers).toEqual(Array(20).fill(first));
    expect(await submitKnowledge(given().mint, input)).toEqual(first);
    expect(await balanceOf(given().mint, walletId)).toBe('5');
  });

  it.each([
    ['another proof', { proof: 'another' }],
    ['another score', { knowledgeScore: '0.9' }],
    ['another activity', { activity: 'course' as const }],
    ['a course', { courseId: 'python' }],
  ])('rejects a used key with %s', async (_what, other) => {
    const input = submission(await givenWallet(given().mint, '0'));
    await submitKnowledge(given().mint, input);

    await expect(submitKnowledge(given().mint, { ...input, ...other })).rejects.toMatchObject({
      code: 'MINT.KEY_REUSED',
    });
  });

  it('rewards the same proof for two users, and for two activities of one user', async () => {
    const [walletId, other] = [await givenWallet(given().mint, '0'), await givenWallet(given().mint, '0')];

    const records = [
      await submit(walletId, { proof: 'shared' }),
      await submit(other, { proof: 'shared' }),
      await submit(walletId, { proof: 'shared', activity: 'tutoring' }),
    ];

    expect(records.map(({ status }) => status)).toEqual(['rewarded', 'rewarded', 'rewarded']);
  });

  it('stores a score below the minimum as rejected, without a payment, and accepts the proof again', async () => {
    const walletId = await givenWallet(given().mint, '0');

    const low = await submit(walletId, { proof: 'exam', knowledgeScore: '0.5999' });
    const better = await submit(walletId, { proof: 'exam', knowledgeScore: '0.6' });

    expect(low).toMatchObject({ status: 'rejected', rejection: 'score_below_minimum', transactionId: null });
    expect(low.reward.toFixed()).toBe('0');
    expect(better).toMatchObject({ status: 'rewarded', reward: new Prisma.Decimal(3) });
    expect(await balanceOf(given().mint, walletId)).toBe('3');
  });

  it('never pays more than the daily cap when fifty submissions race', async () => {
    const walletId = await givenWallet(given().mint, '0');

    const records = await Promise.all(Array.from({ length: 50 }, () => submit(walletId, { activity: 'course' })));

    // 50, then 50 / 1.05 = 47.61904762; a third reward would exceed 100.
    const paid = records.filter(({ status }) => status === 'rewarded');
    expect(paid.map(({ reward }) => reward.toFixed()).sort()).toEqual(['47.61904762', '50']);
    expect(records.filter(({ rejection }) => rejection === 'daily_cap')).toHaveLength(48);
    expect(await balanceOf(given().mint, walletId)).toBe('97.61904762');
  });

  it('pays a smaller reward under the cap after rejecting a larger one', async () => {
    const walletId = await givenWallet(given().mint, '0');
    await submit(walletId, { activity: 'course' });
    await submit(walletId, { activity: 'course', knowledgeScore: '0.9' });

    const tooMuch = await submit(walletId, { activity: 'contribution' });
    const fitting = await submit(walletId, { activity: 'lesson' });

    // 50 and 45 / 1.05 = 42.85714286; the difficulty is 1 + 92.85714286 / 1000, to 4 decimals.
    expect(tooMuch).toMatchObject({ status: 'rejected', rejection: 'daily_cap' });
    expect(fitting).toMatchObject({ status: 'rewarded', reward: divideHalfEven('5', '1.0929') });
  });

  it('starts a new day at midnight UTC in any time zone of the session', async () => {
    const walletId = await givenWallet(given().mint, '0');
    const name = db().target.database;
    await db().admin(`ALTER DATABASE "${name}" SET timezone = 'Pacific/Kiritimati'`);
    const elsewhere = openMint({ url: db().url });
    const learn = async (seconds: number, proof = fresh('proof')) => {
      await given().at(seconds);
      return submitKnowledge(elsewhere, submission(walletId, { activity: 'course', proof }));
    };

    await learn(-DAY / 2);
    await learn(0);
    const today = await learn(DAY / 2 - 0.001, 'once more');
    const tomorrow = await learn(DAY / 2, 'once more');
    const back = await learn(DAY / 2 - 0.001);

    expect([today.rejection, tomorrow.rejection, back.rejection]).toEqual(['daily_cap', null, 'daily_cap']);
    await elsewhere.close();
    await db().admin(`ALTER DATABASE "${name}" RESET timezone`);
  });

  /** Runs work with this total of all wallets; afterwards the total is the sum of the records again. */
  async function withMinedByAll<Result>(mined: string, work: () => Promise<Result>): Promise<Result> {
    await givenMinedByAll(mined);
    try {
      return await work();
    } finally {
      await givenMinedByAll("(SELECT sum(reward) FROM mining_records WHERE status = 'rewarded')");
    }
  }

  it.each([
    ['999999.99999999', '5'],
    ['1000000', '2.5'],
    ['2000000', '1.25'],
    ['31000000', '0'],
  ])('after %s mined by all wallets, pays %s for a lesson', async (mined, reward) => {
    await submit(await givenWallet(given().mint, '0'));
    const walletId = await givenWallet(given().mint, '0');

    const record = await withMinedByAll(mined, () => submit(walletId));

    expect(record.reward.toFixed()).toBe(reward);
    expect(record.rejection).toBe(reward === '0' ? 'nothing_left' : null);
  });

  it('halves every reward after the one that reaches the boundary, when many race', async () => {
    const wallets = await Promise.all(Array.from({ length: 10 }, () => givenWallet(given().mint, '0')));

    const records = await withMinedByAll('999997', () => Promise.all(wallets.map((walletId) => submit(walletId))));

    expect(records.map(({ reward }) => reward.toFixed()).sort()).toEqual([...Array(9).fill('2.5'), '5']);
  });

  it('adds every reward to the total of all wallets once when many race', async () => {
    const wallets = await Promise.all(Array.from({ length: 10 }, () => givenWallet(given().mint, '0')));
    const total = async () => {
      const row = await given().mint.prisma.miningTotal.findUnique({ where: { walletId: 'treasury-AZR' } });
      return row?.mined ?? new Prisma.Decimal(0);
    };
    const before = await total();

    const records = await Promise.all(wallets.flatMap((walletId) => [submit(walletId), submit(walletId)]));

    expect((await total()).sub(before).toFixed()).toBe(rewards(records).toFixed());
  });

  it.each([
    ['a score above 1', { knowledgeScore: '1.0001' }, 'MINT.INVALID_INPUT'],
    ['a score below 0', { knowledgeScore: '-0.1' }, 'MINT.INVALID_INPUT'],
    ['a score of 5 decimals', { knowledgeScore: '0.99999' }, 'MINT.INVALID_INPUT'],
    ['a score that is NaN', { knowledgeScore: new Prisma.Decimal(Number.NaN) }, 'MINT.INVALID_INPUT'],
    ['a score that is a number', { knowledgeScore: 1 }, 'MINT.INVALID_INPUT'],
    ['an unknown activity', { activity: 'sleeping' }, 'MINT.INVALID_INPUT'],
    ['a blank proof', { proof: ' ' }, 'MINT.INVALID_INPUT'],
    ['no bytes', { proof: new Uint8Array() }, 'MINT.INVALID_INPUT'],
    ['a proof of 10 MB', { proof: 'x'.repeat(10_000_000) }, 'MINT.INVALID_INPUT'],
    ['10 MB of bytes', { proof: new Uint8Array(10_000_000) }, 'MINT.INVALID_INPUT'],
    ['a proof with half of a surrogate pair', { proof: 'a\udc00' }, 'MINT.INVALID_INPUT'],
    ['a course with NUL', { courseId: 'a\0b' }, 'MINT.INVALID_INPUT'],
    ['an unknown wallet', { walletId: "'OR''='" }, 'MINT.WALLET_NOT_FOUND'],
    ['the treasury', { walletId: 'treasury-AZR' }, 'MINT.SYSTEM_WALLET'],
  ])('rejects %s and writes nothing', async (_what, bad, code) => {
    const input = { ...submission(await givenWallet(given().mint, '0')), ...bad };
    const before = await rowCounts(db());

    await expect(submitKnowledge(given().mint, input as SubmitKnowledgeInput)).rejects.toMatchObject({ code });

    expect(await rowCounts(db())).toEqual(before);
  });

  it('rejects a wallet in another currency and a closed wallet', async () => {
    const bitcoin = await givenWallet(given().mint, '0', 'BTC');
    const closed = await givenWallet(given().mint, '0');
    const input = submission(closed, { knowledgeScore: '0.1' });
    const rejected = await submitKnowledge(given().mint, input);
    await closeWallet(given().mint, { walletId: closed });

    await expect(submit(bitcoin)).rejects.toMatchObject({ code: 'MINT.CURRENCY_MISMATCH' });
    await expect(submit(closed)).rejects.toMatchObject({ code: 'MINT.WALLET_CLOSED' });
    // An earlier answer does not change.
    expect(await submitKnowledge(given().mint, input)).toEqual(rejected);
  });

  it.each(Object.values($Enums.MiningActivity))('rewards a %s by the schedule', async (activity) => {
    const record = await submit(await givenWallet(given().mint, '0'), { activity });

    const difficulty = knowledgeDifficulty(activity, 0);
    expect(record).toMatchObject({
      difficulty,
      reward: knowledgeReward({ activity, score: 1, difficulty, halvings: 0 }),
    });
  });
});
