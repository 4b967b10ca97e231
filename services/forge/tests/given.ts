import type { TestDatabase } from '@azora/db-testkit';
import {
  type Application,
  acceptApplication,
  applyToJob,
  approveWork,
  type Contract,
  confirmFunding,
  confirmSettlement,
  type Escrow,
  type Forge,
  fundMilestone,
  getContract,
  type Job,
  openForge,
  type PostJobInput,
  postJob,
  submitWork,
} from '../src';

let made = 0;

/** A name that no other row of the test file has. */
export function fresh(what: string): string {
  made += 1;
  return `${what}-${made}`;
}

/** Several stores on one database, like those of several processes. */
export function givenStores(db: TestDatabase, count: number): readonly Forge[] {
  return Array.from({ length: count }, () => openForge({ url: db.url, pool: { max: 4, connectTimeoutMs: 60_000 } }));
}

/** An open job of a new employer. */
export function givenJob(forge: Forge, change: Partial<PostJobInput> = {}): Promise<Job> {
  return postJob(forge, {
    employerId: fresh('boss'),
    title: 'Build a dashboard',
    description: 'Charts and filters.',
    category: 'Web Development',
    skills: ['React'],
    budget: '500',
    idempotencyKey: fresh('key'),
    ...change,
  });
}

export function givenApplication(forge: Forge, jobId: string, proposedAmount = '100'): Promise<Application> {
  const application = { jobId, freelancerId: fresh('ada'), coverLetter: 'Hello', proposedAmount };
  return applyToJob(forge, { ...application, idempotencyKey: fresh('key') });
}

/** An active contract between two new people, with a milestone of each amount. */
export async function givenContract(forge: Forge, amounts: readonly string[] = ['100']): Promise<Contract> {
  const job = await givenJob(forge);
  const total = amounts.reduce((sum, amount) => sum + Number(amount), 0);
  const application = await givenApplication(forge, job.id, total.toFixed(8));
  return acceptApplication(forge, {
    applicationId: application.id,
    employerId: job.employerId,
    terms: 'As agreed',
    milestones: amounts.map((amount, index) => ({ title: `Part ${index + 1}`, amount })),
    idempotencyKey: fresh('key'),
  });
}

/** The ids of the milestones of a contract, in their order. */
export async function milestonesOf(forge: Forge, { id }: Pick<Contract, 'id'>): Promise<readonly string[]> {
  return (await getContract(forge, { contractId: id })).milestones.map((milestone) => milestone.id);
}

export function fund(forge: Forge, { employerId }: Contract, milestoneId: string): Promise<Escrow> {
  const wallets = { payerWalletId: 'wallet-boss', payeeWalletId: 'wallet-ada' };
  return fundMilestone(forge, { milestoneId, employerId, ...wallets, idempotencyKey: fresh('key') });
}

/** A milestone whose money is held; returns its escrow. */
export async function givenFunded(forge: Forge, contract: Contract, milestoneId: string): Promise<Escrow> {
  const { id } = await fund(forge, contract, milestoneId);
  return confirmFunding(forge, { escrowId: id, holdId: fresh('hold') });
}

export async function givenSubmitted(forge: Forge, contract: Contract, milestoneId: string): Promise<Escrow> {
  const escrow = await givenFunded(forge, contract, milestoneId);
  const work = { milestoneId, by: contract.freelancerId, note: 'Done' };
  await submitWork(forge, { ...work, idempotencyKey: fresh('key') });
  return escrow;
}

/** A contract with one milestone that was paid; it is completed. */
export async function givenPaid(forge: Forge, amount = '100'): Promise<Contract> {
  const contract = await givenContract(forge, [amount]);
  const [milestoneId = ''] = await milestonesOf(forge, contract);
  const { id } = await givenSubmitted(forge, contract, milestoneId);
  await approveWork(forge, { milestoneId, by: contract.employerId });
  await confirmSettlement(forge, { escrowId: id, transactionId: fresh('transaction') });
  return contract;
}

/** The outcome of each call: the code of its error, or `done`. */
export async function outcomes(calls: readonly Promise<unknown>[]): Promise<readonly string[]> {
  const settled = await Promise.allSettled(calls);
  return settled.map((it) => (it.status === 'fulfilled' ? 'done' : String(it.reason.code ?? it.reason)));
}

/** An event in the outbox. */
export interface Published {
  readonly type: string;
  readonly key: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** The events of a key in the outbox, in the order of their positions. */
export async function publishedFor(db: TestDatabase, key: string): Promise<readonly Published[]> {
  const rows = await db.admin('SELECT type, key, payload FROM outbox WHERE key = $1 ORDER BY position', [key]);
  return rows as unknown as readonly Published[];
}

/** The names of events, without service and version. */
export function namesOf(events: readonly Published[]): readonly string[] {
  return events.map(({ type }) => type.replace(/^forge\.(.*)\.v1$/, '$1'));
}
