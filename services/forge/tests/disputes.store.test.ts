/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  approveWork,
  cancelContract,
  confirmFunding,
  confirmSettlement,
  type Forge,
  findSkillProfile,
  getContract,
  getDispute,
  getReputation,
  listDisputes,
  listRatings,
  listSkillProfiles,
  openDispute,
  openForge,
  rateContract,
  reconcile,
  refundMilestone,
  resolveDispute,
  reviewDispute,
  saveSkillProfile,
  submitWork,
  withdrawDispute,
} from '../src';
import {
  fresh,
  fund,
  givenContract,
  givenFunded,
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

describe('disputes, ratings and profiles', () => {
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

  const dispute = (contractId: string, raisedById: string, milestoneId?: string) =>
    openDispute(forge, {
      ...{ contractId, raisedById, reason: 'quality', description: 'Broken', idempotencyKey: fresh('key') },
      ...(milestoneId === undefined ? {} : { milestoneId }),
    });
  const resolve = (disputeId: string, awards: { milestoneId: string; payout: string }[], arbiterId = 'judge') =>
    resolveDispute(forge, { disputeId, arbiterId, resolution: 'Split', awards, idempotencyKey: fresh('key') });

  it('freeze their milestone only, until an arbiter splits its money', async () => {
    const contract = await givenContract(forge, ['10', '20']);
    const [first = '', second = ''] = await milestonesOf(forge, contract);
    const { id: escrowId } = await givenSubmitted(forge, contract, first);
    await givenSubmitted(forge, contract, second);
    const { id: disputeId } = await dispute(contract.id, contract.freelancerId, first);

    expect(await codeOf(approveWork(forge, { milestoneId: first, by: contract.employerId }))).toBe('FORGE.DISPUTED');
    expect(await codeOf(refundMilestone(forge, { milestoneId: first, by: contract.freelancerId }))).toBe(
      'FORGE.DISPUTED',
    );
    expect(await codeOf(cancelContract(forge, { contractId: contract.id, by: contract.employerId }))).toBe(
      'FORGE.DISPUTED',
    );
    expect(await codeOf(dispute(contract.id, contract.employerId))).toBe('FORGE.DISPUTED');
    expect(await codeOf(approveWork(forge, { milestoneId: second, by: contract.employerId }))).toBe('done');
    expect(await codeOf(reviewDispute(forge, { disputeId, by: contract.employerId }))).toBe('FORGE.NOT_ALLOWED');
    expect((await reviewDispute(forge, { disputeId, by: 'judge' })).status).toBe('under_review');
    expect(await codeOf(resolve(disputeId, [], contract.employerId))).toBe('FORGE.NOT_ALLOWED');
    expect(await codeOf(resolve(disputeId, [{ milestoneId: first, payout: '10.1' }]))).toBe('FORGE.AWARD_INVALID');
    expect(await codeOf(resolve(disputeId, [{ milestoneId: second, payout: '1' }]))).toBe('FORGE.AWARD_INVALID');
    const twice = [
      { milestoneId: first, payout: '1' },
      { milestoneId: first, payout: '1' },
    ];
    expect(await codeOf(resolve(disputeId, twice))).toBe('FORGE.INVALID_INPUT');

    const resolved = await resolve(disputeId, [{ milestoneId: first, payout: '4' }]);

    expect(resolved).toMatchObject({
      status: 'resolved',
      resolution: 'Split',
      resolvedById: 'judge',
      closedAt: clock.now(),
    });
    const escrow = await confirmSettlement(forge, { escrowId, transactionId: fresh('transaction') });
    expect([escrow.status, escrow.payoutAmount.toFixed(), escrow.refundAmount.toFixed()]).toEqual([
      'released',
      '4',
      '6',
    ]);
    expect(await codeOf(withdrawDispute(forge, { disputeId, by: contract.freelancerId }))).toBe(
      'FORGE.ILLEGAL_TRANSITION',
    );
    const names = namesOf(await publishedFor(db(), contract.id)).filter((name) => name.startsWith('dispute'));
    expect(names).toEqual(['dispute-opened', 'dispute-reviewed', 'dispute-closed']);
  });

  it('freeze the whole contract, and let the work without an award continue', async () => {
    const contract = await givenContract(forge, ['10', '20', '30']);
    const [first = '', second = '', third = ''] = await milestonesOf(forge, contract);
    await givenSubmitted(forge, contract, first);
    await givenFunded(forge, contract, second);
    const { id: requested } = await fund(forge, contract, third);
    const opened = await dispute(contract.id, contract.employerId);
    const work = { milestoneId: second, by: contract.freelancerId, note: 'x', idempotencyKey: fresh('key') };

    expect(await codeOf(submitWork(forge, work))).toBe('FORGE.DISPUTED');
    // The money was set aside meanwhile, so it must be recorded.
    expect((await confirmFunding(forge, { escrowId: requested, holdId: fresh('hold') })).status).toBe('held');
    await resolve(opened.id, [{ milestoneId: first, payout: '0' }]);

    expect(await codeOf(submitWork(forge, work))).toBe('done');
    const { milestones } = await getContract(forge, { contractId: contract.id });
    expect(milestones.map(({ status }) => status)).toEqual(['settled', 'submitted', 'funded']);
    expect((await listDisputes(forge, { contractId: contract.id })).items.map(({ id }) => id)).toEqual([opened.id]);
    expect(await getDispute(forge, { disputeId: opened.id })).toMatchObject({ status: 'resolved' });
  });

  it('are raised by a party of a running contract, about held money, and withdrawn by the same party', async () => {
    const contract = await givenContract(forge, ['10']);
    const [milestoneId = ''] = await milestonesOf(forge, contract);

    expect(await codeOf(dispute(contract.id, 'thief'))).toBe('FORGE.NOT_ALLOWED');
    expect(await codeOf(dispute(contract.id, contract.employerId, milestoneId))).toBe('FORGE.NOT_FUNDED');
    expect(await codeOf(dispute(contract.id, contract.employerId, 'none'))).toBe('FORGE.MILESTONE_NOT_FOUND');
    expect(await codeOf(getDispute(forge, { disputeId: 'none' }))).toBe('FORGE.DISPUTE_NOT_FOUND');
    const { id: disputeId } = await dispute(contract.id, contract.employerId);
    expect(await codeOf(withdrawDispute(forge, { disputeId, by: contract.freelancerId }))).toBe('FORGE.NOT_ALLOWED');
    const withdrawn = await withdrawDispute(forge, { disputeId, by: contract.employerId });
    expect(await withdrawDispute(forge, { disputeId, by: contract.employerId })).toEqual(withdrawn);
    const paid = await givenPaid(forge);
    expect(await codeOf(dispute(paid.id, paid.employerId))).toBe('FORGE.CONTRACT_ENDED');
  });

  it('keep a contract from ending before they are closed', async () => {
    const contract = await givenContract(forge, ['10']);
    const [milestoneId = ''] = await milestonesOf(forge, contract);
    const { id: escrowId } = await givenSubmitted(forge, contract, milestoneId);
    await approveWork(forge, { milestoneId, by: contract.employerId });
    const { id: disputeId } = await dispute(contract.id, contract.employerId);
    await confirmSettlement(forge, { escrowId, transactionId: fresh('transaction') });
    expect((await getContract(forge, { contractId: contract.id })).status).toBe('active');

    await withdrawDispute(forge, { disputeId, by: contract.employerId });

    expect((await getContract(forge, { contractId: contract.id })).status).toBe('completed');
  });

  it('rate each party of a paid contract once, and count in the profile of the freelancer', async () => {
    const running = await givenContract(forge);
    const first = await givenPaid(forge, '40');
    await saveSkillProfile(forge, { userId: first.freelancerId, skills: ['React', 'Vue'], hourlyRate: '25' });
    const rate = (contractId: string, authorId: string, score: number) =>
      rateContract(forge, { contractId, authorId, score, comment: 'Good', idempotencyKey: fresh('key') });

    expect(await codeOf(rate(running.id, running.employerId, 5))).toBe('FORGE.NOT_RATABLE');
    expect(await codeOf(rate(first.id, 'thief', 5))).toBe('FORGE.NOT_ALLOWED');
    expect(await codeOf(rate(first.id, first.employerId, 6))).toBe('FORGE.INVALID_INPUT');
    const rating = await rate(first.id, first.employerId, 4);
    expect(rating).toMatchObject({ rateeId: first.freelancerId, rateeRole: 'freelancer', score: 4, comment: 'Good' });
    expect(await codeOf(rate(first.id, first.employerId, 1))).toBe('FORGE.ALREADY_RATED');
    await rate(first.id, first.freelancerId, 2);

    const profile = await findSkillProfile(forge, { userId: first.freelancerId });
    expect(profile).toMatchObject({ ratingCount: 1, completedJobs: 1, skills: ['React', 'Vue'] });
    expect([profile?.rating?.toFixed(), profile?.totalEarned.toFixed()]).toEqual(['4', '40']);
    expect((await listRatings(forge, { rateeId: first.freelancerId })).items).toEqual([rating]);
    const { asEmployer, asFreelancer } = await getReputation(forge, { userId: first.employerId });
    expect([asEmployer.count, asEmployer.mean?.toFixed(), asFreelancer]).toEqual([1, '2', { count: 0, mean: null }]);
    const found = await listSkillProfiles(forge, { skills: ['Vue'] });
    expect(found.items.map(({ userId }) => userId)).toEqual([first.freelancerId]);
    expect((await listSkillProfiles(forge, { skills: ['Vue', 'Go'] })).items).toEqual([]);
  });

  it('replace what a person says in a profile, and keep what contracts say', async () => {
    const contract = await givenPaid(forge, '15');
    const { freelancerId: userId } = contract;
    const before = await saveSkillProfile(forge, { userId, skills: ['Go'], headline: 'Coder', bio: 'Me' });
    const other = await saveSkillProfile(forge, { userId, skills: [], currency: 'USD', isAvailable: false });
    const again = await saveSkillProfile(forge, { userId, skills: ['Go'] });

    expect([before, other, again].map(({ totalEarned }) => totalEarned.toFixed())).toEqual(['15', '0', '15']);
    expect([other.id, other.headline, other.isAvailable, again.completedJobs]).toEqual([before.id, null, false, 1]);
    expect(await findSkillProfile(forge, { userId: 'nobody' })).toBeNull();
  });
});
