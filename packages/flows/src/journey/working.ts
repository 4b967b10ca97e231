import {
  acceptApplication,
  applyToJob,
  approveWork,
  fundMilestone,
  getContract,
  openDispute,
  postJob,
  rateContract,
  resolveDispute,
  saveSkillProfile,
  searchJobs,
  submitWork,
} from '@azora/forge';
import { ESCROW_FUNDING, ESCROW_SETTLEMENT } from '../escrow';
import type { Journey } from './context';
import type { People } from './sign-up';

export interface JourneyJob {
  readonly jobId: string;
  readonly contractId: string;
  /** The keys of the sagas of funding and settlement. */
  readonly escrowIds: readonly string[];
}

/** Ada finds the job of Kofi, and delivers it through escrow: one milestone is approved, the other one disputed and split. */
export async function deliverJob(journey: Journey, people: People): Promise<JourneyJob> {
  const { contractId, jobId } = await agree(journey, people);
  const [approved, disputed] = await fundAll(journey, people, contractId);
  if (approved === undefined || disputed === undefined) throw new Error('The contract has fewer than two milestones');
  await approve(journey, people, approved);
  await split(journey, people, disputed, contractId);
  const { ada, kofi } = people;
  const { forge } = journey.stores;
  const rating = { contractId, authorId: kofi.userId, score: 5, idempotencyKey: `journey:${journey.run}:rating` };
  await rateContract(forge, rating);
  journey.say(`${kofi.name} rates ${ada.name} with 5 of 5.`);
  return { contractId, jobId, escrowIds: [approved.escrowId, disputed.escrowId] };
}

interface Funded {
  readonly milestoneId: string;
  readonly escrowId: string;
}

async function agree({ stores: { forge }, run, say, until }: Journey, { ada, kofi }: People) {
  await saveSkillProfile(forge, { userId: ada.userId, headline: 'Database engineer', skills: ['PostgreSQL'] });
  const title = `Tidy the database of shop ${run}`;
  const posted = await postJob(forge, {
    ...{ employerId: kofi.userId, title, description: 'Keys and constraints for ten tables', category: 'Databases' },
    ...{ skills: ['PostgreSQL'], budget: '300', idempotencyKey: `journey:${run}:job` },
  });
  const job = await until('the job in the search', async () => {
    const { items } = await searchJobs(forge, { text: `"shop ${run}"`, skills: ['PostgreSQL'] });
    return items.find(({ id }) => id === posted.id);
  });
  const application = await applyToJob(forge, {
    ...{ jobId: job.id, freelancerId: ada.userId, coverLetter: 'I have a certificate.', proposedAmount: '250' },
    idempotencyKey: `journey:${run}:application`,
  });
  const contract = await acceptApplication(forge, {
    ...{ applicationId: application.id, employerId: kofi.userId, terms: 'Two parts, each paid on delivery' },
    milestones: [
      { title: 'Keys', amount: '150' },
      { title: 'Constraints', amount: '100' },
    ],
    idempotencyKey: `journey:${run}:contract`,
  });
  say(`${ada.name} finds the job of ${kofi.name}, and they agree on two milestones for 250 AZR.`);
  return { contractId: contract.id, jobId: job.id };
}

/** Kofi funds the milestones; the flow of escrow holds the money in mint. */
async function fundAll(journey: Journey, { ada, kofi }: People, contractId: string): Promise<readonly Funded[]> {
  const { forge } = journey.stores;
  const { milestones } = await getContract(forge, { contractId });
  const funded: Funded[] = [];
  for (const { id: milestoneId } of milestones) {
    const { id: escrowId } = await fundMilestone(forge, {
      ...{ milestoneId, employerId: kofi.userId, payerWalletId: kofi.walletId, payeeWalletId: ada.walletId },
      idempotencyKey: `journey:${milestoneId}:fund`,
    });
    funded.push({ milestoneId, escrowId });
  }
  for (const { escrowId } of funded) await journey.sagaDone(ESCROW_FUNDING, escrowId);
  journey.say('Kofi funds both, and sagas hold 250 AZR of his wallet.');
  return funded;
}

async function approve(journey: Journey, { ada, kofi }: People, { milestoneId, escrowId }: Funded): Promise<void> {
  const { forge } = journey.stores;
  const work = { milestoneId, by: ada.userId, note: 'Ten keys' };
  await submitWork(forge, { ...work, idempotencyKey: `journey:${milestoneId}:submit` });
  await approveWork(forge, { milestoneId, by: kofi.userId });
  await journey.sagaDone(ESCROW_SETTLEMENT, escrowId);
  journey.say('Ada delivers the first one, Kofi approves it, and she is paid 150 AZR.');
}

async function split(
  journey: Journey,
  { ada, ben, kofi }: People,
  { milestoneId, escrowId }: Funded,
  contractId: string,
): Promise<void> {
  const { forge } = journey.stores;
  const work = { milestoneId, by: ada.userId, note: 'Six constraints' };
  await submitWork(forge, { ...work, idempotencyKey: `journey:${milestoneId}:submit` });
  const { id: disputeId } = await openDispute(forge, {
    ...{ contractId, milestoneId, raisedById: kofi.userId, reason: 'scope', description: 'Four are missing' },
    idempotencyKey: `journey:${milestoneId}:dispute`,
  });
  await resolveDispute(forge, {
    ...{ disputeId, arbiterId: ben.userId, resolution: 'Six of ten', awards: [{ milestoneId, payout: '60' }] },
    idempotencyKey: `journey:${milestoneId}:resolve`,
  });
  await journey.sagaDone(ESCROW_SETTLEMENT, escrowId);
  journey.say('Kofi disputes the second one. Ben decides: 60 AZR for Ada, and 40 AZR return to Kofi.');
}
