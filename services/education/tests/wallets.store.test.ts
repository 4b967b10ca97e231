/** @server any */
import { createHash, randomUUID } from 'node:crypto';
import { type CloudEvent, handleEvents } from '@azora/db-core/events';
import { useDatabase } from '@azora/db-testkit';
import {
  dropEnrollment,
  type Education,
  findWallet,
  getEnrollment,
  listTransactions,
  openEducation,
  refundKey,
  registerStudent,
  voidEnrollment,
  walletProjection,
} from '../src';
import { fresh, givenCourse, givenEnrollment } from './education-given';

function eventOf(type: string, subject: string, data: object): CloudEvent {
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: '/azora/mint',
    type,
    subject,
    time: '2026-03-01T12:00:00.000000Z',
    datacontenttype: 'application/json',
    dataschema: `urn:azora:event:${type}`,
    partitionkey: subject,
    sequence: '1',
    data,
  };
}

const opened = (walletId: string, userId: string, currency = 'AZR') =>
  eventOf('mint.wallet-opened.v1', walletId, { walletId, userId, currency });

const posted = (
  transactionType: string,
  fromWalletId: string,
  toWalletId: string,
  amount: string,
  fields: object = {},
) => {
  const data = {
    transactionId: fresh('t'),
    transactionType,
    fromWalletId,
    toWalletId,
    currency: 'AZR',
    amount,
    seq: '1',
  };
  return eventOf('mint.transaction-posted.v1', fromWalletId, {
    ...data,
    holdId: null,
    stakeId: null,
    requestKeyHash: '0'.repeat(64),
    ...fields,
  });
};

describe('the copy of the wallets of mint', () => {
  const db = useDatabase('education');
  let education: Education;
  beforeAll(() => {
    education = openEducation({ url: db().url });
  });
  afterAll(() => education.close());

  const handle = async (...events: CloudEvent[]) => {
    const handled = await handleEvents(education, walletProjection, events);
    expect(handled.filter(({ outcome }) => outcome === 'failed')).toEqual([]);
  };
  /** Handles events again as new ones, as after a loss of the inbox. */
  const again = (events: readonly CloudEvent[]) => events.map((event) => ({ ...event, id: randomUUID() }));
  const balanceOf = async (walletId: string) =>
    (await education.prisma.wallet.findUniqueOrThrow({ where: { mintWalletId: walletId } })).balance.toString();
  const givenStudent = () => registerStudent(education, { userId: fresh('user'), displayName: 'Ada' });
  const typesOf = async (walletId: string) =>
    (await listTransactions(education, { walletId })).items.map(({ type, amount }) => `${type} ${amount}`).sort();

  it('follows the money of a student, each event once', async () => {
    const student = await givenStudent();
    const [wallet, other] = [fresh('w'), fresh('w')];
    const events = [
      opened(wallet, student.userId),
      posted('mint', 'treasury-AZR', wallet, '100.00000000'),
      posted('mining', 'treasury-AZR', wallet, '5.00000000'),
      posted('transfer', wallet, other, '30.00000000'),
      posted('stake', wallet, 'staking-AZR', '20.00000000'),
      posted('burn', wallet, 'treasury-AZR', '1.00000000'),
      posted('unstake', 'staking-AZR', wallet, '20.00000000'),
      posted('transfer', wallet, other, '999.00000000', { currency: 'USD' }),
    ];
    await handle(...events);
    await handle(...events, ...again(events));

    expect((await findWallet(education, { studentId: student.id }))?.balance.toString()).toBe('74');
    expect(await balanceOf(other)).toBe('30');
    expect(await typesOf(wallet)).toEqual([
      'deposit 100',
      'deposit 20',
      'reward 5',
      'withdrawal 1',
      'withdrawal 20',
      'withdrawal 30',
    ]);
    expect(await education.prisma.wallet.count({ where: { id: { endsWith: '-AZR' } } })).toBe(0);
  });

  it('links the wallet whether the wallet or the student comes first, and in a race', async () => {
    const userId = fresh('user');
    const wallet = fresh('w');
    await handle(posted('mint', 'treasury-AZR', wallet, '7.00000000'));
    await handle(opened(wallet, userId), opened(fresh('dollars'), userId, 'USD'));
    const student = await registerStudent(education, { userId, displayName: 'Ada' });
    expect(await findWallet(education, { studentId: student.id })).toMatchObject({ mintWalletId: wallet, userId });

    const racers = Array.from({ length: 8 }, () => fresh('racer'));
    await Promise.all(
      racers.flatMap((user) => [
        handle(opened(`w-${user}`, user)),
        registerStudent(education, { userId: user, displayName: 'Ada' }),
      ]),
    );
    for (const user of racers) {
      const { id } = await education.prisma.student.findUniqueOrThrow({ where: { userId: user } });
      expect(await findWallet(education, { studentId: id })).toMatchObject({ mintWalletId: `w-${user}` });
    }
  });

  it('recognizes the payment and the refund of an enrollment', async () => {
    const { courseId } = await givenCourse(education, { price: '40' });
    const student = await givenStudent();
    const [wallet, school] = [fresh('w'), fresh('w')];
    await handle(opened(wallet, student.userId), posted('mint', 'treasury-AZR', wallet, '40.00000000'));
    const { id: enrollmentId, paymentHoldId } = await givenEnrollment(education, courseId, {
      studentId: student.id,
      isPaid: false,
    });
    const payment = posted('transfer', wallet, school, '40.00000000', { holdId: paymentHoldId });
    await handle(payment);
    await handle(...again([payment]));
    expect((await getEnrollment(education, { enrollmentId })).paidAt).not.toBeNull();
    await dropEnrollment(education, { enrollmentId });
    const requestKeyHash = createHash('sha256').update(refundKey(enrollmentId)).digest('hex');
    await handle(posted('transfer', school, wallet, '40.00000000', { requestKeyHash }));

    expect(await typesOf(wallet)).toEqual(['deposit 40', 'purchase 40', 'refund 40']);
    expect(await balanceOf(wallet)).toBe('40');
    const { items: rows } = await listTransactions(education, { walletId: wallet, type: 'purchase' });
    expect(rows).toMatchObject([{ enrollmentId, direction: 'out' }]);
  });

  it('gives a payment back that arrives after its enrollment was voided', async () => {
    const { courseId } = await givenCourse(education, { price: '40' });
    const { id: enrollmentId, paymentHoldId } = await givenEnrollment(education, courseId, { isPaid: false });
    await voidEnrollment(education, { enrollmentId });
    await handle(posted('transfer', fresh('w'), fresh('w'), '40.00000000', { holdId: paymentHoldId }));

    expect((await getEnrollment(education, { enrollmentId })).refundAmount?.toString()).toBe('40');
  });

  it('reaches the balance of mint in any order of the events of two payers', async () => {
    const wallets = [fresh('w'), fresh('w'), fresh('w')] as const;
    const [a, b, c] = wallets;
    const events = [
      posted('transfer', a, b, '10.00000000'),
      posted('transfer', b, c, '4.00000000'),
      posted('mint', 'treasury-AZR', a, '12.00000000'),
    ];
    await Promise.all(events.toReversed().map((event) => handle(event)));

    expect(await Promise.all(wallets.map(balanceOf))).toEqual(['2', '6', '4']);
  });
});
