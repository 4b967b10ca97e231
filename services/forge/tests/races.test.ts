/** @server any */
import { useDatabase } from '@azora/db-testkit';
import {
  acceptApplication,
  applyToJob,
  approveWork,
  cancelContract,
  cancelFunding,
  confirmFunding,
  confirmSettlement,
  type Forge,
  findSkillProfile,
  fundMilestone,
  getContract,
  getEscrow,
  openDispute,
  rateContract,
  reconcile,
  refundMilestone,
  resolveDispute,
  saveSkillProfile,
} from '../src';
import {
  fresh,
  fund,
  givenApplication,
  givenContract,
  givenJob,
  givenPaid,
  givenStores,
  givenSubmitted,
  milestonesOf,
  namesOf,
  outcomes,
  publishedFor,
} from './given';

const ROUNDS = 5;

describe('races in forge', () => {
  const db = useDatabase('forge');
  let stores: readonly Forge[] = [];
  const forge = (n = 0): Forge => stores[n % stores.length] as Forge;
  beforeAll(() => {
    stores = givenStores(db(), 8);
  });
  afterEach(async () => {
    expect(await reconcile(forge())).toEqual([]);
  });
  afterAll(() => Promise.all(stores.map((store) => store.close())));

  /** Starts one call of each function in a store of its own. */
  const race = (calls: readonly ((store: Forge) => Promise<unknown>)[]) =>
    outcomes(calls.map((call, n) => call(forge(n))));
  const eight = <Result>(call: (n: number) => Result) => [0, 1, 2, 3, 4, 5, 6, 7].map(call);

  it('accept one application of a job', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const job = await givenJob(forge());
      const applications = await Promise.all(eight(() => givenApplication(forge(), job.id, '10')));
      const found = await race(
        applications.map(
          ({ id }) =>
            (store: Forge) =>
              acceptApplication(store, {
                ...{
                  applicationId: id,
                  employerId: job.employerId,
                  terms: 'x',
                  milestones: [{ title: 'x', amount: '10' }],
                },
                idempotencyKey: fresh('key'),
              }),
        ),
      );
      expect([...found].sort()).toEqual([...Array(7).fill('FORGE.JOB_NOT_OPEN'), 'done'].sort());
    }
  });

  it('let a person apply once, and nobody after the acceptance', async () => {
    const job = await givenJob(forge());
    const chosen = await givenApplication(forge(), job.id, '10');
    const apply = (freelancerId: string) => (store: Forge) =>
      applyToJob(store, {
        jobId: job.id,
        freelancerId,
        coverLetter: 'x',
        proposedAmount: '1',
        idempotencyKey: fresh('key'),
      });
    const found = await race([
      ...[apply('ada'), apply('ada'), apply('ada')],
      (store) =>
        acceptApplication(store, {
          ...{
            applicationId: chosen.id,
            employerId: job.employerId,
            terms: 'x',
            milestones: [{ title: 'x', amount: '10' }],
          },
          idempotencyKey: fresh('key'),
        }),
      ...[apply('ben'), apply('eve')],
    ]);

    expect(found.slice(0, 3).filter((it) => it === 'done').length).toBeLessThanOrEqual(1);
    expect(found[3]).toBe('done');
    const [open] = await db().admin(
      `SELECT count(*)::int AS open FROM applications WHERE job_id = $1 AND status IN ('submitted', 'shortlisted')`,
      [job.id],
    );
    expect(open).toEqual({ open: 0 });
  });

  it('fund a milestone once, and either confirm or cancel the request', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const contract = await givenContract(forge());
      const [milestoneId = ''] = await milestonesOf(forge(), contract);
      const found = await race(eight(() => (store: Forge) => fund(store, contract, milestoneId)));
      expect([...found].sort()).toEqual([...Array(7).fill('FORGE.ALREADY_FUNDED'), 'done'].sort());
      const [escrow] = (await getContract(forge(), { contractId: contract.id })).milestones.flatMap(
        ({ escrows }) => escrows,
      );
      const escrowId = String(escrow?.id);

      const ends = await race([
        (store) => confirmFunding(store, { escrowId, holdId: fresh('hold') }),
        (store) => cancelFunding(store, { escrowId }),
        (store) => confirmFunding(store, { escrowId, holdId: fresh('hold') }),
      ]);

      expect(ends.filter((end) => end === 'done')).toEqual(['done']);
    }
  });

  it('decide the money of a milestone once: approval, refund and dispute', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const contract = await givenContract(forge());
      const [milestoneId = ''] = await milestonesOf(forge(), contract);
      const { id: escrowId } = await givenSubmitted(forge(), contract, milestoneId);
      const dispute = {
        contractId: contract.id,
        milestoneId,
        raisedById: contract.freelancerId,
        reason: 'payment',
      } as const;
      const calls = [
        (store: Forge) => approveWork(store, { milestoneId, by: contract.employerId }),
        (store: Forge) => openDispute(store, { ...dispute, description: 'x', idempotencyKey: fresh('key') }),
        (store: Forge) => refundMilestone(store, { milestoneId, by: contract.freelancerId }),
        (store: Forge) => cancelContract(store, { contractId: contract.id, by: contract.employerId }),
      ];

      const found = await race([...calls.slice(round % 4), ...calls.slice(0, round % 4)]);

      expect(found.filter((it) => it === 'done')).toEqual(['done']);
      const { status } = await getEscrow(forge(), { escrowId });
      expect(['settling', 'held']).toContain(status);
    }
  });

  it('pay and complete once, with one event each', async () => {
    const contract = await givenContract(forge(), ['1', '2', '3', '4']);
    await saveSkillProfile(forge(), { userId: contract.freelancerId, skills: ['x'] });
    const milestones = await milestonesOf(forge(), contract);
    const settlements: { escrowId: string; transactionId: string }[] = [];
    for (const milestoneId of milestones) {
      const { id: escrowId } = await givenSubmitted(forge(), contract, milestoneId);
      await approveWork(forge(), { milestoneId, by: contract.employerId });
      settlements.push({ escrowId, transactionId: fresh('transaction') });
    }

    const found = await race(
      [...settlements, ...settlements].map((input) => (store: Forge) => confirmSettlement(store, input)),
    );

    expect(new Set(found)).toEqual(new Set(['done']));
    const names = namesOf(await publishedFor(db(), contract.id));
    const count = (name: string) => names.filter((it) => it === name).length;
    expect([count('escrow-settled'), count('contract-ended')]).toEqual([4, 1]);
    const profile = await findSkillProfile(forge(), { userId: contract.freelancerId });
    expect([profile?.completedJobs, profile?.totalEarned.toFixed()]).toEqual([1, '10']);
  });

  it('resolve a dispute once', async () => {
    const contract = await givenContract(forge());
    const [milestoneId = ''] = await milestonesOf(forge(), contract);
    await givenSubmitted(forge(), contract, milestoneId);
    const { id: disputeId } = await openDispute(forge(), {
      ...{ contractId: contract.id, raisedById: contract.employerId, reason: 'scope', description: 'x' },
      idempotencyKey: fresh('key'),
    });

    const found = await race(
      eight(
        (n) => (store: Forge) =>
          resolveDispute(store, {
            ...{ disputeId, arbiterId: 'judge', resolution: 'x', awards: [{ milestoneId, payout: String(n) }] },
            idempotencyKey: fresh('key'),
          }),
      ),
    );

    expect([...found].sort()).toEqual([...Array(7).fill('FORGE.ILLEGAL_TRANSITION'), 'done'].sort());
  });

  it('count every rating and payment in a profile that is made at the same time', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const contract = await givenPaid(forge(), '7');
      const input = { contractId: contract.id, authorId: contract.employerId, score: 3 };
      const found = await race([
        (store) => rateContract(store, { ...input, idempotencyKey: fresh('key') }),
        (store) => saveSkillProfile(store, { userId: contract.freelancerId, skills: ['x'] }),
        (store) => saveSkillProfile(store, { userId: contract.freelancerId, skills: ['y'] }),
        (store) => rateContract(store, { ...input, idempotencyKey: fresh('key') }),
      ]);
      expect([...found].sort()).toEqual(['FORGE.ALREADY_RATED', 'done', 'done', 'done']);
      const profile = await findSkillProfile(forge(), { userId: contract.freelancerId });
      expect([profile?.ratingCount, profile?.rating?.toFixed(), profile?.completedJobs]).toEqual([1, '3', 1]);
    }
  });

  it('take a key for one request, also when other requests use it at the same time', async () => {
    const contract = await givenContract(forge());
    const [milestoneId = ''] = await milestonesOf(forge(), contract);
    const key = fresh('key');
    const wallets = { payeeWalletId: 'ada', idempotencyKey: key };

    const found = await race(
      eight(
        (n) => (store: Forge) =>
          fundMilestone(store, {
            milestoneId,
            employerId: contract.employerId,
            payerWalletId: `boss-${n % 2}`,
            ...wallets,
          }),
      ),
    );

    expect([...found].sort()).toEqual([...Array(4).fill('FORGE.KEY_REUSED'), ...Array(4).fill('done')].sort());
  });
});
