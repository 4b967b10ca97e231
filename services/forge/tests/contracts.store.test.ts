/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  acceptApplication,
  applyToJob,
  approveWork,
  cancelContract,
  cancelFunding,
  closeJob,
  confirmFunding,
  confirmSettlement,
  type Forge,
  fundMilestone,
  getApplication,
  getContract,
  getEscrow,
  getJob,
  listApplications,
  listContracts,
  openForge,
  reconcile,
  refundMilestone,
  rejectApplication,
  requestChanges,
  shortlistApplication,
  submitWork,
  withdrawApplication,
} from '../src';
import {
  fresh,
  fund,
  givenApplication,
  givenContract,
  givenFunded,
  givenJob,
  givenPaid,
  givenSubmitted,
  milestonesOf,
  namesOf,
  publishedFor,
} from './given';

const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => 'done',
    ({ code }) => code,
  );

describe('applications and contracts', () => {
  const db = useDatabase('forge');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let forge: Forge;
  beforeAll(() => {
    forge = openForge({ url: db().url });
  });
  afterEach(async () => {
    expect(await reconcile(forge)).toEqual([]);
  });
  afterAll(() => forge.close());

  it('lets a person apply once for an open job of somebody else, before its deadline', async () => {
    const job = await givenJob(forge, { deadline: new Date(clock.now().getTime() + 1000) });
    const apply = (freelancerId: string, jobId = job.id, idempotencyKey = fresh('key')) =>
      applyToJob(forge, {
        jobId,
        freelancerId,
        coverLetter: 'Hi',
        proposedAmount: '9',
        estimatedDays: 3,
        idempotencyKey,
      });
    const key = fresh('key');
    const application = await apply('ada', job.id, key);
    expect(await apply('ada', job.id, key)).toEqual(application);
    expect(application).toMatchObject({ status: 'submitted', jobId: job.id, estimatedDays: 3 });
    await withdrawApplication(forge, { applicationId: application.id, by: 'ada' });

    const closed = await givenJob(forge);
    await closeJob(forge, { jobId: closed.id, by: closed.employerId });

    expect(await codeOf(apply('ada'))).toBe('FORGE.ALREADY_APPLIED');
    expect(await codeOf(apply(job.employerId))).toBe('FORGE.OWN_JOB');
    expect(await codeOf(apply('ada', closed.id))).toBe('FORGE.JOB_NOT_OPEN');
    expect(await codeOf(apply('ada', 'none'))).toBe('FORGE.JOB_NOT_FOUND');
    await clock.move(1000);
    expect(await codeOf(apply('ben'))).toBe('FORGE.JOB_EXPIRED');
  });

  it('moves an application for the person who may', async () => {
    const job = await givenJob(forge);
    const { id: applicationId, freelancerId } = await givenApplication(forge, job.id);
    const other = await givenApplication(forge, job.id);
    const employer = { applicationId, by: job.employerId };

    expect(await codeOf(shortlistApplication(forge, { applicationId, by: freelancerId }))).toBe('FORGE.NOT_ALLOWED');
    expect(await codeOf(withdrawApplication(forge, employer))).toBe('FORGE.NOT_ALLOWED');
    const shortlisted = await shortlistApplication(forge, employer);
    expect([shortlisted.status, shortlisted.decidedAt]).toEqual(['shortlisted', null]);
    expect(await shortlistApplication(forge, employer)).toEqual(shortlisted);
    expect((await rejectApplication(forge, employer)).decidedAt).toEqual(clock.now());
    expect(await codeOf(withdrawApplication(forge, { applicationId, by: freelancerId }))).toBe(
      'FORGE.ILLEGAL_TRANSITION',
    );
    expect(await codeOf(rejectApplication(forge, { ...employer, applicationId: 'none' }))).toBe(
      'FORGE.APPLICATION_NOT_FOUND',
    );
    const { items } = await listApplications(forge, { jobId: job.id, status: 'submitted' });
    expect(items.map(({ id }) => id)).toEqual([other.id]);
    expect((await listApplications(forge, { freelancerId })).items.map(({ id }) => id)).toEqual([applicationId]);
    expect(await codeOf(listApplications(forge, {}))).toBe('FORGE.INVALID_INPUT');
  });

  it('makes the contract and rejects the others when an application is accepted', async () => {
    const job = await givenJob(forge);
    const chosen = await givenApplication(forge, job.id, '30.00000001');
    const other = await givenApplication(forge, job.id);
    const gone = await givenApplication(forge, job.id);
    await withdrawApplication(forge, { applicationId: gone.id, by: gone.freelancerId });
    const input = {
      applicationId: chosen.id,
      employerId: job.employerId,
      terms: 'As agreed',
      milestones: [
        { title: 'One', amount: '10', description: 'First' },
        { title: 'Two', amount: '20.00000001', dueAt: new Date('2026-04-01T00:00:00Z') },
      ],
      idempotencyKey: fresh('key'),
    };
    expect(await codeOf(acceptApplication(forge, { ...input, employerId: chosen.freelancerId }))).toBe(
      'FORGE.NOT_ALLOWED',
    );
    await expect(acceptApplication(forge, { ...input, milestones: input.milestones.slice(1) })).rejects.toMatchObject({
      code: 'FORGE.MILESTONES_TOTAL',
      meta: { total: '20.00000001', amount: '30.00000001' },
    });

    const contract = await acceptApplication(forge, input);

    expect(await acceptApplication(forge, input)).toEqual(contract);
    expect(contract).toMatchObject({ status: 'active', employerId: job.employerId, freelancerId: chosen.freelancerId });
    const { milestones, amount } = await getContract(forge, { contractId: contract.id });
    expect(amount.toFixed()).toBe('30.00000001');
    expect(milestones.map(({ position, title, status, dueAt }) => [position, title, status, dueAt])).toEqual([
      [1, 'One', 'planned', null],
      [2, 'Two', 'planned', new Date('2026-04-01T00:00:00Z')],
    ]);
    const statuses = await Promise.all(
      [chosen, other, gone].map(async ({ id }) => (await getApplication(forge, { applicationId: id })).status),
    );
    expect(statuses).toEqual(['accepted', 'rejected', 'withdrawn']);
    expect((await getJob(forge, { jobId: job.id })).status).toBe('in_progress');
    expect(
      await codeOf(acceptApplication(forge, { ...input, applicationId: other.id, idempotencyKey: fresh('key') })),
    ).toBe('FORGE.JOB_NOT_OPEN');
    const as = async (userId: string, part: 'employer' | 'freelancer') =>
      (await listContracts(forge, { userId, as: part })).items.map(({ id }) => id);
    expect(await as(job.employerId, 'employer')).toEqual([contract.id]);
    expect(await as(chosen.freelancerId, 'freelancer')).toEqual([contract.id]);
    expect(await as(job.employerId, 'freelancer')).toEqual([]);
  });

  it('takes each milestone from its funding to its payment, and ends the contract with the last', async () => {
    const contract = await givenContract(forge, ['10', '20']);
    const [first = '', second = ''] = await milestonesOf(forge, contract);
    const employer = { milestoneId: first, by: contract.employerId };
    const work = { milestoneId: first, by: contract.freelancerId, note: 'Here', idempotencyKey: fresh('key') };

    expect(await codeOf(submitWork(forge, work))).toBe('FORGE.ILLEGAL_TRANSITION');
    const requested = await fund(forge, contract, first);
    expect([requested.status, requested.heldAt, requested.holdId]).toEqual(['requested', null, null]);
    expect(await codeOf(fund(forge, contract, first))).toBe('FORGE.ALREADY_FUNDED');
    const held = await confirmFunding(forge, { escrowId: requested.id, holdId: fresh('hold') });
    expect(held).toMatchObject({ status: 'held', heldAt: clock.now() });
    expect(await confirmFunding(forge, { escrowId: held.id, holdId: String(held.holdId) })).toEqual(held);
    expect(await codeOf(confirmFunding(forge, { escrowId: held.id, holdId: fresh('hold') }))).toBe(
      'FORGE.ILLEGAL_TRANSITION',
    );
    expect(await codeOf(approveWork(forge, employer))).toBe('FORGE.ILLEGAL_TRANSITION');

    await submitWork(forge, work);
    const returned = await requestChanges(forge, { ...employer, note: 'Blue', idempotencyKey: fresh('key') });
    expect(returned).toMatchObject({ status: 'funded', feedback: 'Blue', deliverable: 'Here', submittedAt: null });
    expect((await submitWork(forge, work)).status).toBe('funded');
    await submitWork(forge, { ...work, note: 'Again', idempotencyKey: fresh('key') });
    expect(await codeOf(approveWork(forge, { ...employer, by: contract.freelancerId }))).toBe('FORGE.NOT_ALLOWED');
    const approved = await approveWork(forge, employer);
    expect([approved.status, await approveWork(forge, employer)]).toEqual(['approved', approved]);
    const settling = await getEscrow(forge, { escrowId: held.id });
    expect([settling.status, settling.payoutAmount.toFixed(), settling.refundAmount.toFixed()]).toEqual([
      'settling',
      '10',
      '0',
    ]);
    expect(await codeOf(confirmSettlement(forge, { escrowId: held.id }))).toBe('FORGE.SETTLEMENT_MISMATCH');
    const paid = { escrowId: held.id, transactionId: fresh('transaction') };
    const released = await confirmSettlement(forge, paid);
    expect([released.status, await confirmSettlement(forge, paid)]).toEqual(['released', released]);
    expect((await getContract(forge, { contractId: contract.id })).status).toBe('active');

    const last = await givenSubmitted(forge, contract, second);
    await approveWork(forge, { milestoneId: second, by: contract.employerId });
    expect(await codeOf(confirmSettlement(forge, { escrowId: last.id, transactionId: paid.transactionId }))).toBe(
      'FORGE.TRANSACTION_USED',
    );
    await confirmSettlement(forge, { escrowId: last.id, transactionId: fresh('transaction') });

    expect(await getContract(forge, { contractId: contract.id })).toMatchObject({
      status: 'completed',
      completedAt: clock.now(),
    });
    expect(await getJob(forge, { jobId: contract.jobId })).toMatchObject({ status: 'closed', closedAt: clock.now() });
    const events = await publishedFor(db(), contract.id);
    const steps = ['work-submitted', 'work-approved', 'escrow-settling', 'escrow-settled'];
    expect(namesOf(events)).toEqual([
      ...['contract-started', 'escrow-requested', 'escrow-held', 'work-submitted', 'changes-requested', ...steps],
      ...['escrow-requested', 'escrow-held', ...steps, 'contract-ended'],
    ]);
  });

  it('gives up a request for money, and can ask again', async () => {
    const contract = await givenContract(forge);
    const [milestoneId = ''] = await milestonesOf(forge, contract);
    const { id: escrowId } = await fund(forge, contract, milestoneId);

    const cancelled = await cancelFunding(forge, { escrowId });

    expect(await cancelFunding(forge, { escrowId })).toEqual(cancelled);
    expect(await codeOf(confirmFunding(forge, { escrowId, holdId: fresh('hold') }))).toBe('FORGE.ILLEGAL_TRANSITION');
    const again = await givenFunded(forge, contract, milestoneId);
    expect(await codeOf(cancelFunding(forge, { escrowId: again.id }))).toBe('FORGE.ILLEGAL_TRANSITION');
    const other = await givenContract(forge);
    const [another = ''] = await milestonesOf(forge, other);
    const { id } = await fund(forge, other, another);
    expect(await codeOf(confirmFunding(forge, { escrowId: id, holdId: String(again.holdId) }))).toBe('FORGE.HOLD_USED');
  });

  it('returns the money of a milestone that the freelancer gives up', async () => {
    const contract = await givenContract(forge);
    const [milestoneId = ''] = await milestonesOf(forge, contract);
    const escrow = await givenSubmitted(forge, contract, milestoneId);
    const asked = { milestoneId, by: contract.freelancerId };
    expect(await codeOf(refundMilestone(forge, { milestoneId, by: contract.employerId }))).toBe('FORGE.NOT_ALLOWED');

    const milestone = await refundMilestone(forge, asked);

    expect([milestone.status, await refundMilestone(forge, asked)]).toEqual(['cancelled', milestone]);
    const wrong = confirmSettlement(forge, { escrowId: escrow.id, transactionId: 'transaction' });
    await expect(wrong).rejects.toMatchObject({ code: 'FORGE.SETTLEMENT_MISMATCH' });
    const refunded = await confirmSettlement(forge, { escrowId: escrow.id });
    expect([refunded.status, refunded.payoutAmount.toFixed(), refunded.refundAmount.toFixed()]).toEqual([
      'refunded',
      '0',
      '100',
    ]);
    // Nothing was paid, so the contract was not completed.
    expect((await getContract(forge, { contractId: contract.id })).status).toBe('cancelled');
    expect((await getJob(forge, { jobId: contract.jobId })).status).toBe('cancelled');
  });

  it('is canceled by a party only when no money is on the way', async () => {
    const contract = await givenContract(forge);
    const [milestoneId = ''] = await milestonesOf(forge, contract);
    const asked = { contractId: contract.id, by: contract.freelancerId };
    const { id: escrowId } = await fund(forge, contract, milestoneId);
    expect(await codeOf(cancelContract(forge, { ...asked, by: 'thief' }))).toBe('FORGE.NOT_ALLOWED');
    expect(await codeOf(cancelContract(forge, asked))).toBe('FORGE.ESCROW_LIVE');
    await cancelFunding(forge, { escrowId });

    const cancelled = await cancelContract(forge, asked);

    expect([cancelled.status, await cancelContract(forge, asked)]).toEqual(['cancelled', cancelled]);
    expect((await getContract(forge, { contractId: contract.id })).milestones.map(({ status }) => status)).toEqual([
      'cancelled',
    ]);
    expect(await codeOf(fund(forge, contract, milestoneId))).toBe('FORGE.ILLEGAL_TRANSITION');
    const paid = await givenPaid(forge);
    expect(await codeOf(cancelContract(forge, { contractId: paid.id, by: paid.employerId }))).toBe(
      'FORGE.ILLEGAL_TRANSITION',
    );
  });

  it.each([
    ['getContract', () => getContract(forge, { contractId: 'none' }), 'FORGE.CONTRACT_NOT_FOUND'],
    ['getEscrow', () => getEscrow(forge, { escrowId: 'none' }), 'FORGE.ESCROW_NOT_FOUND'],
    ['approveWork', () => approveWork(forge, { milestoneId: 'none', by: 'x' }), 'FORGE.MILESTONE_NOT_FOUND'],
    ['getApplication', () => getApplication(forge, { applicationId: 'none' }), 'FORGE.APPLICATION_NOT_FOUND'],
    ['confirmSettlement', () => confirmSettlement(forge, { escrowId: 'none' }), 'FORGE.ESCROW_NOT_FOUND'],
    [
      'fundMilestone between one wallet',
      async () => {
        const contract = await givenContract(forge);
        const [milestoneId = ''] = await milestonesOf(forge, contract);
        const wallets = { payerWalletId: 'same', payeeWalletId: 'same' };
        await fundMilestone(forge, {
          milestoneId,
          employerId: contract.employerId,
          ...wallets,
          idempotencyKey: fresh('key'),
        });
      },
      'FORGE.INVALID_INPUT',
    ],
  ])('reports what is wrong: %s', async (_what, call, code) => {
    expect(await codeOf(call())).toBe(code);
  });
});
