/** @server none */
import { type ChaosCall, type ChaosServer, callUnderKills, openChaosServer, testEffort } from '@azora/db-testkit';
import {
  acceptApplication,
  applyToJob,
  approveWork,
  type Contract,
  confirmFunding,
  confirmSettlement,
  type Forge,
  fundMilestone,
  getContract,
  openDispute,
  openForge,
  postJob,
  rateContract,
  reconcile,
  resolveDispute,
  saveSkillProfile,
  submitWork,
} from '../src';
import { fresh } from './given';

const CLIENTS = 8;
const KILLS = 2 * testEffort();
const CALLS = 60;
const AMOUNT = '10';
/** A shared pool of people: jobs of one employer, and applications of several freelancers to each job. */
const FREELANCERS = ['ada', 'ben', 'eve'];

describe('the marketplace on a server that is killed', () => {
  let server: ChaosServer;
  let forge: Forge;
  beforeAll(async () => {
    server = await openChaosServer('forge');
    forge = openForge({ url: server.url, pool: { max: CLIENTS }, slowQueryMs: 3_600_000 });
    for (const userId of FREELANCERS) await saveSkillProfile(forge, { userId, skills: [] });
  });
  afterAll(async () => {
    await forge.close();
    await server.close();
  });

  /** What the clients know to be written. */
  const known = { contracts: new Set<string>(), paid: new Set<string>() };
  /** Two clients at a time work on the same job. */
  let job = '';
  let made = 0;

  function next(): ChaosCall {
    made += 1;
    if (made % 2 === 1) job = fresh('job');
    const shared = job;
    const freelancerId = FREELANCERS[made % FREELANCERS.length] ?? '';
    const isDisputed = made % 4 < 2;
    return [isDisputed ? 'dispute' : 'deliver', () => deliver(shared, freelancerId, isDisputed)];
  }

  /** A whole job: the second client has another freelancer in mind, so that two acceptances of one job race. */
  async function deliver(shared: string, freelancerId: string, isDisputed: boolean): Promise<void> {
    const key = (step: string) => ({ idempotencyKey: `${shared}-${step}-${freelancerId}` });
    const { id: jobId } = await postJob(forge, {
      ...{ employerId: 'boss', title: 'Build a dashboard', description: 'Charts and filters.', category: 'Web' },
      ...{ skills: ['React'], budget: '500', idempotencyKey: shared },
    });
    const application = { jobId, freelancerId, coverLetter: 'Hello', proposedAmount: AMOUNT };
    const { id: applicationId } = await applyToJob(forge, { ...application, ...key('apply') });
    const contract = await acceptApplication(forge, {
      ...{ applicationId, employerId: 'boss', terms: 'x', milestones: [{ title: 'x', amount: AMOUNT }] },
      ...key('accept'),
    });
    known.contracts.add(contract.id);
    await earn(contract, key, isDisputed);
  }

  async function earn(
    contract: Contract,
    key: (step: string) => { readonly idempotencyKey: string },
    isDisputed: boolean,
  ): Promise<void> {
    const [contractId, { freelancerId }] = [contract.id, contract];
    const [milestone] = (await getContract(forge, { contractId })).milestones;
    const milestoneId = milestone?.id ?? '';
    const wallets = { payerWalletId: 'from', payeeWalletId: 'to' };
    const funding = { milestoneId, employerId: 'boss', ...wallets, ...key('fund') };
    const { id: escrowId } = await fundMilestone(forge, funding);
    await confirmFunding(forge, { escrowId, holdId: `hold-${escrowId}` });
    await submitWork(forge, { milestoneId, by: freelancerId, note: 'Done', ...key('submit') });
    if (isDisputed) await settleDispute(contract, milestoneId, key);
    else await approveWork(forge, { milestoneId, by: 'boss' });
    await confirmSettlement(forge, { escrowId, transactionId: `transaction-${escrowId}` });
    known.paid.add(escrowId);
    await rateContract(forge, { contractId, authorId: 'boss', score: 4, ...key('rate') });
  }

  async function settleDispute(
    { id: contractId, freelancerId }: Contract,
    milestoneId: string,
    key: (step: string) => { readonly idempotencyKey: string },
  ): Promise<void> {
    const dispute = { contractId, milestoneId, raisedById: freelancerId, reason: 'scope', description: 'x' } as const;
    const { id: disputeId } = await openDispute(forge, { ...dispute, ...key('dispute') });
    const awards = [{ milestoneId, payout: '4' }];
    await resolveDispute(forge, { disputeId, arbiterId: 'judge', resolution: 'x', awards, ...key('resolve') });
  }

  async function check(): Promise<void> {
    expect(await reconcile(forge)).toEqual([]);
    const [found] = await server.admin(
      `SELECT (SELECT count(*)::int FROM contracts) AS contracts, (SELECT count(*)::int FROM contracts WHERE id = ANY ($1)) AS known,
        (SELECT count(*)::int FROM escrows WHERE status = 'released') AS released,
        (SELECT count(*)::int FROM escrows WHERE status = 'released' AND id = ANY ($2)) AS paid,
        (SELECT sum(payout_amount) FROM escrows WHERE status = 'released') = (SELECT sum(total_earned) FROM skill_profiles) AS earned`,
      [[...known.contracts], [...known.paid]],
    );
    const [contracts, released] = [known.contracts.size, known.paid.size];
    expect(found).toEqual({ contracts, known: contracts, released, paid: released, earned: true });
    expect(await server.admin(WRONG)).toEqual([]);
  }

  /** Jobs with two contracts, and contracts and escrows whose events are missing or twice. */
  const WRONG = `
    SELECT 'contracts' AS what, job_id AS id FROM contracts GROUP BY job_id HAVING count(*) > 1
    UNION ALL
    SELECT 'started', c.id FROM contracts AS c LEFT JOIN outbox AS o ON o.payload ->> 'contractId' = c.id
    GROUP BY c.id HAVING count(*) FILTER (WHERE o.type = 'forge.contract-started.v1') <> 1
    UNION ALL
    SELECT 'settled', e.id FROM escrows AS e LEFT JOIN outbox AS o ON o.payload ->> 'escrowId' = e.id
    GROUP BY e.id HAVING count(*) FILTER (WHERE o.type = 'forge.escrow-settled.v1') <> (e.status = 'released')::int`;

  it('keeps what it confirmed, loses no money, and does each repeated call once', async () => {
    const run = { clients: CLIENTS, kills: KILLS, calls: CALLS, next, check };
    const { done, lost } = await callUnderKills(server, {
      ...run,
      // The client that came too late.
      refusals: /^FORGE\.(JOB_NOT_OPEN|ILLEGAL_TRANSITION)$/,
    });

    expect(Object.keys(done).sort()).toEqual(['deliver', 'dispute']);
    expect(lost).toBeGreaterThan(0);
  });
});
