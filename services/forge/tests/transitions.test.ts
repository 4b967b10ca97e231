/** @server any */
import { useDatabase } from '@azora/db-testkit';
import { type Forge, openForge } from '../src';
import { givenContract, givenFunded, milestonesOf } from './given';

/** Every machine: its table, its statuses, and the steps that it allows. */
const MACHINES = {
  jobs: [
    'draft>open',
    'draft>cancelled',
    'open>in_progress',
    'open>closed',
    'open>cancelled',
    'in_progress>closed',
    'in_progress>cancelled',
  ],
  applications: [
    ...['submitted>shortlisted', 'submitted>accepted', 'submitted>rejected', 'submitted>withdrawn'],
    ...['shortlisted>accepted', 'shortlisted>rejected', 'shortlisted>withdrawn'],
  ],
  contracts: ['draft>active', 'draft>cancelled', 'active>completed', 'active>cancelled'],
  milestones: [
    ...['planned>funded', 'planned>cancelled', 'funded>submitted', 'funded>settled', 'funded>cancelled'],
    ...['submitted>funded', 'submitted>approved', 'submitted>settled', 'submitted>cancelled'],
  ],
  escrows: ['requested>held', 'requested>cancelled', 'held>settling', 'settling>released', 'settling>refunded'],
  disputes: ['open>under_review', 'open>resolved', 'open>withdrawn', 'under_review>resolved', 'under_review>withdrawn'],
} as const;
type Table = keyof typeof MACHINES;

const STATUSES: Readonly<Record<Table, readonly string[]>> = {
  jobs: ['draft', 'open', 'in_progress', 'closed', 'cancelled'],
  applications: ['submitted', 'shortlisted', 'accepted', 'rejected', 'withdrawn'],
  contracts: ['draft', 'active', 'completed', 'cancelled'],
  milestones: ['planned', 'funded', 'submitted', 'approved', 'settled', 'cancelled'],
  escrows: ['requested', 'held', 'settling', 'released', 'refunded', 'cancelled'],
  disputes: ['open', 'under_review', 'resolved', 'withdrawn'],
};

/** What else the columns of a row must be in a status, so that only the step decides. */
const COLUMNS: Readonly<Record<Table, (status: string) => string>> = {
  jobs: (status) =>
    `published_at = ${status === 'draft' ? 'NULL' : 'now()'}, closed_at = ${/closed|cancelled/.test(status) ? 'now()' : 'NULL'}`,
  applications: (status) => `decided_at = ${/submitted|shortlisted/.test(status) ? 'NULL' : 'now()'}`,
  contracts: (status) =>
    `completed_at = ${status === 'completed' ? 'now()' : 'NULL'}, cancelled_at = ${status === 'cancelled' ? 'now()' : 'NULL'}`,
  milestones: (status) =>
    `submitted_at = ${/submitted|approved/.test(status) ? 'now()' : 'NULL'}, approved_at = ${status === 'approved' ? 'now()' : 'NULL'}`,
  escrows: (status) =>
    `held_at = ${/requested|cancelled/.test(status) ? 'NULL' : 'now()'},
     released_at = ${status === 'released' ? 'now()' : 'NULL'}, refunded_at = ${status === 'refunded' ? 'now()' : 'NULL'},
     cancelled_at = ${status === 'cancelled' ? 'now()' : 'NULL'},
     hold_id = ${/requested|cancelled/.test(status) ? 'NULL' : "'hold-of-steps'"},
     payout_amount = CASE WHEN '${status}' IN ('settling', 'released') THEN amount ELSE 0 END,
     refund_amount = CASE WHEN '${status}' = 'refunded' THEN amount ELSE 0 END`,
  disputes: (status) =>
    `closed_at = ${/resolved|withdrawn/.test(status) ? 'now()' : 'NULL'},
     resolution = ${status === 'resolved' ? "'x'" : 'NULL'}, resolved_by_id = ${status === 'resolved' ? "'judge'" : 'NULL'}`,
};

describe('the statuses of forge', () => {
  const db = useDatabase('forge');
  const ids: Record<Table, string> = {
    jobs: '',
    applications: '',
    contracts: '',
    milestones: '',
    escrows: '',
    disputes: '',
  };
  let forge: Forge;
  beforeAll(async () => {
    forge = openForge({ url: db().url });
    const contract = await givenContract(forge);
    const [milestone = ''] = await milestonesOf(forge, contract);
    const escrow = await givenFunded(forge, contract, milestone);
    await db().admin(`INSERT INTO disputes (id, contract_id, raised_by_id, reason, description)
      VALUES ('dispute', '${contract.id}', 'x', 'scope', 'x')`);
    Object.assign(ids, { jobs: contract.jobId, applications: contract.applicationId, contracts: contract.id });
    Object.assign(ids, { milestones: milestone, escrows: escrow.id, disputes: 'dispute' });
  });
  afterAll(() => forge.close());

  it.each(Object.keys(MACHINES) as Table[])(
    '%s allow their steps and no others, even to the administrator',
    async (table) => {
      // Puts the row into a status without asking the triggers, tries the step, and takes both back.
      const tried = STATUSES[table]
        .flatMap((from) => STATUSES[table].map((to) => [from, to] as const))
        .filter(([from, to]) => from !== to);
      const allowed: string[] = [];
      const others = new Set<string>();
      for (const [from, to] of tried) {
        const step = (status: string) =>
          `UPDATE ${table} SET status = '${status}', ${COLUMNS[table](status)} WHERE id = '${ids[table]}';`;
        const attempt = db().admin(`DO $do$ BEGIN
        PERFORM set_config('session_replication_role', 'replica', true);
        ${step(from)}
        PERFORM set_config('session_replication_role', 'origin', true);
        ${step(to)}
        RAISE EXCEPTION 'accepted';
      END $do$`);
        const message = await attempt.catch((error) => String(error.message));
        if (message === 'accepted') allowed.push(`${from}>${to}`);
        else others.add(String(message));
      }

      // A settled escrow keeps the decision that it was settled with, so this pair needs another one first.
      const steps =
        table === 'escrows' ? MACHINES.escrows.filter((step) => step !== 'settling>refunded') : MACHINES[table];
      expect(allowed.sort()).toEqual([...steps].sort());
      expect([...others].filter((message) => !/^(illegal_transition|escrow_fixed)$/.test(message))).toEqual([]);
    },
  );
});
