/** @server any */
import {
  acceptedInput,
  BAD,
  type BadCall,
  type BadValues,
  badElements,
  outcomeOfGood,
  rowsOf,
  useDatabase,
} from '@azora/db-testkit';
import * as store from '../src';
import { type Forge, openForge } from '../src';
import { givenApplication, givenContract, givenFunded, givenJob, milestonesOf } from './given';

const KEY = { idempotencyKey: BAD.texts };
const PAGE = { limit: BAD.limits, cursor: BAD.cursors };
/** Amounts above 0. */
const AMOUNTS: BadValues = [...BAD.amounts, ['0', '0']];
const SKILLS: BadValues = [
  ['text', 'React'],
  ['51', Array.from({ length: 51 }, (_, n) => `skill ${n}`)],
  ['null', null],
  ...BAD.texts.map(([what, text]) => [what, [text]] as const),
];
const CURRENCIES: BadValues = [...BAD.choices, ['lower case', 'azr']];

const MILESTONE = { title: 'x', amount: '1' };
const key = 'bad-input';

/** The rows that valid input names. */
const ids = { job: '', draft: '', application: '', contract: '', milestone: '', escrow: '', dispute: '' };

/** Each function with valid input, and invalid values of its fields. */
const callsOf = (): Readonly<Record<string, BadCall<Forge>>> => ({
  postJob: [
    store.postJob,
    { employerId: 'boss', title: 'x', description: 'x', category: 'x', budget: '1', idempotencyKey: key },
    {
      ...{ employerId: BAD.ids, organizationId: BAD.ids, title: BAD.texts, description: BAD.texts },
      ...{ category: BAD.texts, skills: SKILLS, budget: AMOUNTS, currency: CURRENCIES, draft: BAD.flags, ...KEY },
      deadline: [...BAD.times, ['the past', new Date('2000-01-01')]],
    },
  ],
  updateJob: [
    store.updateJob,
    { jobId: ids.job, by: 'boss' },
    {
      ...{ jobId: BAD.ids, by: BAD.ids, title: BAD.texts, description: BAD.texts, category: BAD.texts },
      ...{ skills: SKILLS, budget: AMOUNTS, deadline: BAD.times.filter(([what]) => what !== 'null') },
    },
  ],
  publishJob: [store.publishJob, { jobId: ids.draft, by: 'boss' }, { jobId: BAD.ids, by: BAD.ids }],
  closeJob: [store.closeJob, { jobId: ids.job, by: 'eve' }, { jobId: BAD.ids, by: BAD.ids }],
  cancelJob: [store.cancelJob, { jobId: ids.job, by: 'eve' }, { jobId: BAD.ids, by: BAD.ids }],
  deleteJob: [store.deleteJob, { jobId: ids.job, by: 'eve' }, { jobId: BAD.ids, by: BAD.ids }],
  restoreJob: [store.restoreJob, { jobId: ids.job, by: 'boss' }, { jobId: BAD.ids, by: BAD.ids }],
  getJob: [store.getJob, { jobId: ids.job }, { jobId: BAD.ids }],
  listJobs: [store.listJobs, { employerId: 'boss' }, { employerId: BAD.ids, status: BAD.choices, ...PAGE }],
  searchJobs: [
    store.searchJobs,
    {},
    {
      text: BAD.texts.filter(([what]) => !/empty|blanks/.test(what)),
      ...{ skills: SKILLS, category: BAD.texts, currency: CURRENCIES, minBudget: AMOUNTS, maxBudget: AMOUNTS },
      ...{ limit: BAD.limits, cursor: BAD.texts },
    },
  ],
  applyToJob: [
    store.applyToJob,
    { jobId: ids.job, freelancerId: 'ada', coverLetter: 'x', proposedAmount: '1', idempotencyKey: key },
    {
      ...{ jobId: BAD.ids, freelancerId: BAD.ids, coverLetter: BAD.texts, proposedAmount: AMOUNTS },
      ...{ estimatedDays: BAD.ordinals, ...KEY },
    },
  ],
  shortlistApplication: [
    store.shortlistApplication,
    { applicationId: ids.application, by: 'eve' },
    { applicationId: BAD.ids, by: BAD.ids },
  ],
  rejectApplication: [
    store.rejectApplication,
    { applicationId: ids.application, by: 'eve' },
    { applicationId: BAD.ids, by: BAD.ids },
  ],
  withdrawApplication: [
    store.withdrawApplication,
    { applicationId: ids.application, by: 'eve' },
    { applicationId: BAD.ids, by: BAD.ids },
  ],
  acceptApplication: [
    store.acceptApplication,
    { applicationId: ids.application, employerId: 'eve', terms: 'x', milestones: [MILESTONE], idempotencyKey: key },
    {
      ...{ applicationId: BAD.ids, employerId: BAD.ids, terms: BAD.texts, endsAt: BAD.times, ...KEY },
      milestones: [
        ...badElements(MILESTONE, { title: BAD.texts, description: BAD.texts, amount: AMOUNTS, dueAt: BAD.times }),
        ['none', []],
        ['10,001', Array.from({ length: 10_001 }, () => MILESTONE)],
      ],
    },
  ],
  getApplication: [store.getApplication, { applicationId: ids.application }, { applicationId: BAD.ids }],
  listApplications: [store.listApplications, { jobId: ids.job }, { jobId: BAD.ids, status: BAD.choices, ...PAGE }],
  getContract: [store.getContract, { contractId: ids.contract }, { contractId: BAD.ids }],
  listContracts: [
    store.listContracts,
    { userId: 'boss', as: 'employer' },
    { userId: BAD.ids, as: BAD.choices, status: BAD.choices, ...PAGE },
  ],
  cancelContract: [store.cancelContract, { contractId: ids.contract, by: 'eve' }, { contractId: BAD.ids, by: BAD.ids }],
  fundMilestone: [
    store.fundMilestone,
    {
      ...{ milestoneId: ids.milestone, employerId: 'eve', payerWalletId: 'a', payeeWalletId: 'b' },
      idempotencyKey: key,
    },
    { milestoneId: BAD.ids, employerId: BAD.ids, payerWalletId: BAD.ids, payeeWalletId: BAD.ids, ...KEY },
  ],
  confirmFunding: [
    store.confirmFunding,
    { escrowId: ids.escrow, holdId: 'other' },
    { escrowId: BAD.ids, holdId: BAD.ids },
  ],
  cancelFunding: [store.cancelFunding, { escrowId: ids.escrow }, { escrowId: BAD.ids }],
  confirmSettlement: [
    store.confirmSettlement,
    { escrowId: ids.escrow, transactionId: 'x' },
    { escrowId: BAD.ids, transactionId: BAD.ids },
  ],
  getEscrow: [store.getEscrow, { escrowId: ids.escrow }, { escrowId: BAD.ids }],
  submitWork: [
    store.submitWork,
    { milestoneId: ids.milestone, by: 'eve', note: 'x', idempotencyKey: key },
    { milestoneId: BAD.ids, by: BAD.ids, note: BAD.texts, ...KEY },
  ],
  requestChanges: [
    store.requestChanges,
    { milestoneId: ids.milestone, by: 'eve', note: 'x', idempotencyKey: key },
    { milestoneId: BAD.ids, by: BAD.ids, note: BAD.texts, ...KEY },
  ],
  approveWork: [store.approveWork, { milestoneId: ids.milestone, by: 'eve' }, { milestoneId: BAD.ids, by: BAD.ids }],
  refundMilestone: [
    store.refundMilestone,
    { milestoneId: ids.milestone, by: 'eve' },
    { milestoneId: BAD.ids, by: BAD.ids },
  ],
  openDispute: [
    store.openDispute,
    { contractId: ids.contract, raisedById: 'eve', reason: 'scope', description: 'x', idempotencyKey: key },
    {
      ...{ contractId: BAD.ids, milestoneId: BAD.ids, raisedById: BAD.ids, reason: BAD.choices },
      ...{ description: BAD.texts, ...KEY },
    },
  ],
  reviewDispute: [store.reviewDispute, { disputeId: ids.dispute, by: 'arbiter' }, { disputeId: BAD.ids, by: BAD.ids }],
  withdrawDispute: [store.withdrawDispute, { disputeId: ids.dispute, by: 'eve' }, { disputeId: BAD.ids, by: BAD.ids }],
  resolveDispute: [
    store.resolveDispute,
    { disputeId: 'x', arbiterId: 'arbiter', resolution: 'x', idempotencyKey: key },
    {
      ...{ disputeId: BAD.ids, arbiterId: BAD.ids, resolution: BAD.texts, ...KEY },
      awards: [
        ...badElements({ milestoneId: 'x', payout: '0' }, { milestoneId: BAD.ids, payout: BAD.amounts }),
        [
          'a milestone twice',
          [
            { milestoneId: 'x', payout: '0' },
            { milestoneId: 'x', payout: '1' },
          ],
        ],
      ],
    },
  ],
  getDispute: [store.getDispute, { disputeId: ids.dispute }, { disputeId: BAD.ids }],
  listDisputes: [store.listDisputes, {}, { contractId: BAD.ids, status: BAD.choices, ...PAGE }],
  saveSkillProfile: [
    store.saveSkillProfile,
    { userId: 'ada', skills: [] },
    {
      ...{ userId: BAD.ids, headline: BAD.texts, bio: BAD.texts, skills: SKILLS, hourlyRate: AMOUNTS },
      ...{ currency: CURRENCIES, isAvailable: BAD.flags },
    },
  ],
  findSkillProfile: [store.findSkillProfile, { userId: 'ada' }, { userId: BAD.ids }],
  listSkillProfiles: [store.listSkillProfiles, {}, { skills: SKILLS, ...PAGE }],
  rateContract: [
    store.rateContract,
    { contractId: ids.contract, authorId: 'eve', score: 5, idempotencyKey: key },
    {
      ...{ contractId: BAD.ids, authorId: BAD.ids, comment: BAD.texts, ...KEY },
      score: [...BAD.ordinals, ['6', 6]],
    },
  ],
  listRatings: [store.listRatings, { rateeId: 'ada' }, { rateeId: BAD.ids, ...PAGE }],
  getReputation: [store.getReputation, { userId: 'ada' }, { userId: BAD.ids }],
});

describe('invalid input', () => {
  const db = useDatabase('forge');
  let forge: Forge;
  beforeAll(async () => {
    forge = openForge({ url: db().url });
    const job = await givenJob(forge, { employerId: 'boss' });
    const contract = await givenContract(forge);
    const [milestone = ''] = await milestonesOf(forge, contract);
    Object.assign(ids, {
      ...{ job: job.id, contract: contract.id, milestone },
      draft: (await givenJob(forge, { employerId: 'boss', draft: true })).id,
      application: (await givenApplication(forge, job.id)).id,
      escrow: (await givenFunded(forge, contract, milestone)).id,
    });
    const dispute = { contractId: contract.id, raisedById: contract.employerId, reason: 'scope', description: 'x' };
    ids.dispute = (await store.openDispute(forge, { ...dispute, reason: 'scope', idempotencyKey: 'dispute' })).id;
  });
  afterAll(() => forge.close());

  it.each(Object.keys(callsOf()))('of %s is rejected with the name of the field, and changes nothing', async (name) => {
    const call = callsOf()[name] as BadCall<Forge>;
    const before = await rowsOf(db());

    expect(await acceptedInput(forge, 'FORGE.INVALID_INPUT', call)).toEqual([]);
    expect(await rowsOf(db())).toEqual(before);
    expect(await outcomeOfGood(forge, call)).not.toBe('FORGE.INVALID_INPUT');
  });

  it('of listApplications is both a job and a person, or neither', async () => {
    const ofPerson: BadCall<Forge> = [store.listApplications, { freelancerId: 'ada' }, { freelancerId: BAD.ids }];

    expect(await acceptedInput(forge, 'FORGE.INVALID_INPUT', ofPerson)).toEqual([]);
    for (const input of [{}, { jobId: 'x', freelancerId: 'y' }])
      await expect(store.listApplications(forge, input)).rejects.toMatchObject({ code: 'FORGE.INVALID_INPUT' });
  });

  it('of the functions about a person is rejected', async () => {
    for (const [, id] of BAD.ids) {
      for (const call of [store.exportPerson(forge, id as string), store.erasePerson(forge, id as string)])
        await expect(call).rejects.toMatchObject({ code: 'FORGE.INVALID_INPUT' });
    }
  });

  it('is tested for every function with input', () => {
    const others = ['openForge', 'reconcile', 'exportPerson', 'erasePerson'];
    const functions = Object.entries(store).flatMap(([name, value]) => (typeof value === 'function' ? [name] : []));

    expect(functions.filter((name) => /^[a-z]/.test(name) && !others.includes(name)).sort()).toEqual(
      Object.keys(callsOf()).sort(),
    );
  });
});
