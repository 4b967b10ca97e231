/** @server any */
import { endSessionInside, testEffort, useDatabase } from '@azora/db-testkit';
import fc from 'fast-check';
import {
  acceptApplication,
  approveWork,
  cancelContract,
  cancelFunding,
  confirmFunding,
  confirmSettlement,
  type Forge,
  getContract,
  openDispute,
  openForge,
  rateContract,
  reconcile,
  refundMilestone,
  requestChanges,
  resolveDispute,
  saveSkillProfile,
  submitWork,
  withdrawDispute,
} from '../src';
import { fresh, fund, givenApplication, givenJob } from './given';

/** Each run makes about 60 calls. The model allows most of them. */
const RUNS = 8 * testEffort();
const AMOUNTS = ['10', '20.5', '0.00000001'];

/** What a contract must look like: statuses as in the database, and money in units of 10^-8. */
interface Model {
  contract: 'active' | 'completed' | 'cancelled';
  milestones: { status: string; escrow: string; payout: bigint }[];
  dispute: 'none' | 'contract' | number;
  rated: boolean;
  earned: bigint;
}

interface Real {
  readonly forge: Forge;
  readonly contract: Awaited<ReturnType<typeof acceptApplication>>;
  readonly ids: readonly string[];
  readonly escrows: string[];
  disputeId: string;
}

const AMOUNT_UNITS = AMOUNTS.map((amount) => {
  const [whole = '', decimals = ''] = amount.split('.');
  return BigInt(whole + decimals.padEnd(8, '0'));
});
/** An amount of units as the database writes it. */
const decimal = (units: bigint) =>
  String(units)
    .padStart(9, '0')
    .replace(/(\d{8})$/, '.$1');

const at = (model: Model, n: number) => model.milestones[n] as Model['milestones'][number];
const isFrozen = (model: Model, n: number) => model.dispute === 'contract' || model.dispute === n;

/** Ends the contract of the model when nothing is left to do. */
function finish(model: Model): void {
  const isOpen = model.milestones.some(({ status }) => /planned|funded|submitted/.test(status));
  const isLive = model.milestones.some(({ escrow }) => /requested|held|settling/.test(escrow));
  if (model.contract !== 'active' || isOpen || isLive || model.dispute !== 'none') return;
  model.contract = model.milestones.some(({ escrow }) => escrow === 'released') ? 'completed' : 'cancelled';
}

/** One call: whether the model allows it, what it then does to the model, and the call itself. */
interface Step {
  readonly name: string;
  readonly allows: (model: Model) => boolean;
  readonly apply: (model: Model) => void;
  readonly call: (real: Real) => Promise<unknown>;
}

const key = () => ({ idempotencyKey: fresh('key') });

function stepsOf(n: number): readonly Step[] {
  const isActive = (model: Model) => model.contract === 'active';
  const work = (model: Model, from: string) => at(model, n).status === from && !isFrozen(model, n);
  return [
    {
      name: `fund ${n}`,
      allows: (model) => isActive(model) && work(model, 'planned') && !/requested/.test(at(model, n).escrow),
      apply: (model) => {
        at(model, n).escrow = 'requested';
      },
      call: async (real) => {
        real.escrows[n] = (await fund(real.forge, real.contract, real.ids[n] ?? '')).id;
      },
    },
    {
      name: `confirm ${n}`,
      allows: (model) => at(model, n).escrow === 'requested',
      apply: (model) => Object.assign(at(model, n), { escrow: 'held', status: 'funded' }),
      call: (real) => confirmFunding(real.forge, { escrowId: real.escrows[n] ?? 'none', holdId: fresh('hold') }),
    },
    {
      name: `cancel funding ${n}`,
      allows: (model) => /requested|cancelled/.test(at(model, n).escrow),
      apply: (model) => {
        at(model, n).escrow = 'cancelled';
      },
      call: (real) => cancelFunding(real.forge, { escrowId: real.escrows[n] ?? 'none' }),
    },
    {
      name: `submit ${n}`,
      allows: (model) => work(model, 'funded'),
      apply: (model) => {
        at(model, n).status = 'submitted';
      },
      call: ({ forge, contract, ids }) =>
        submitWork(forge, { milestoneId: ids[n] ?? '', by: contract.freelancerId, note: 'x', ...key() }),
    },
    {
      name: `request changes ${n}`,
      allows: (model) => work(model, 'submitted'),
      apply: (model) => {
        at(model, n).status = 'funded';
      },
      call: ({ forge, contract, ids }) =>
        requestChanges(forge, { milestoneId: ids[n] ?? '', by: contract.employerId, note: 'x', ...key() }),
    },
    {
      name: `approve ${n}`,
      allows: (model) => work(model, 'submitted') || at(model, n).status === 'approved',
      apply: (model) => {
        if (at(model, n).status === 'approved') return;
        Object.assign(at(model, n), { status: 'approved', escrow: 'settling', payout: AMOUNT_UNITS[n] });
      },
      call: ({ forge, contract, ids }) => approveWork(forge, { milestoneId: ids[n] ?? '', by: contract.employerId }),
    },
    {
      name: `refund ${n}`,
      allows: (model) => work(model, 'funded') || work(model, 'submitted') || at(model, n).status === 'cancelled',
      apply: (model) => {
        if (at(model, n).status === 'cancelled') return;
        Object.assign(at(model, n), { status: 'cancelled', escrow: 'settling', payout: 0n });
      },
      call: ({ forge, contract, ids }) =>
        refundMilestone(forge, { milestoneId: ids[n] ?? '', by: contract.freelancerId }),
    },
    {
      name: `settle ${n}`,
      // A refund has no transaction, so a second call is a repetition.
      allows: (model) => /settling|refunded/.test(at(model, n).escrow),
      apply: (model) => {
        const milestone = at(model, n);
        if (milestone.escrow === 'refunded') return;
        milestone.escrow = milestone.payout > 0n ? 'released' : 'refunded';
        model.earned += milestone.payout;
        finish(model);
      },
      call: async ({ forge, escrows }) => {
        const [row] = await forge.query<{ is_paid: boolean }>({
          text: 'SELECT payout_amount > 0 AS is_paid FROM escrows WHERE id = $1',
          values: [escrows[n] ?? 'none'],
        });
        const transaction = row?.is_paid === true ? { transactionId: fresh('transaction') } : {};
        return confirmSettlement(forge, { escrowId: escrows[n] ?? 'none', ...transaction });
      },
    },
    {
      name: `dispute ${n}`,
      allows: (model) => isActive(model) && model.dispute === 'none' && /funded|submitted/.test(at(model, n).status),
      apply: (model) => {
        model.dispute = n;
      },
      call: (real) => openDisputeOf(real, real.ids[n]),
    },
  ];
}

async function openDisputeOf(real: Real, milestoneId?: string): Promise<void> {
  const dispute = await openDispute(real.forge, {
    ...{ contractId: real.contract.id, raisedById: real.contract.freelancerId, reason: 'scope', description: 'x' },
    ...(milestoneId === undefined ? {} : { milestoneId }),
    ...key(),
  });
  real.disputeId = dispute.id;
}

/** Splits the money of every held milestone of the dispute in halves. */
const resolve: Step = {
  name: 'resolve',
  allows: (model) => model.dispute !== 'none',
  apply: (model) => {
    for (const [n, milestone] of model.milestones.entries()) {
      if (milestone.escrow !== 'held' || !isFrozen(model, n)) continue;
      Object.assign(milestone, { status: 'settled', escrow: 'settling', payout: (AMOUNT_UNITS[n] ?? 0n) / 2n });
    }
    model.dispute = 'none';
    finish(model);
  },
  call: async ({ forge, contract, disputeId }) => {
    const [row] = await forge.query<{ milestone_id: string | null }>({
      text: 'SELECT milestone_id FROM disputes WHERE id = $1',
      values: [disputeId],
    });
    const { milestones } = await getContract(forge, { contractId: contract.id });
    const awards = milestones
      .filter(({ id }) => row?.milestone_id == null || row.milestone_id === id)
      .flatMap(({ id, escrows }) =>
        escrows.filter(({ status }) => status === 'held').map(({ amount }) => ({ id, amount })),
      )
      .map(({ id, amount }) => ({ milestoneId: id, payout: amount.div(2).toFixed(8, 1) }));
    return resolveDispute(forge, { disputeId, arbiterId: 'judge', resolution: 'x', awards, ...key() });
  },
};

const STEPS: readonly Step[] = [
  ...AMOUNTS.flatMap((_, n) => stepsOf(n)),
  {
    name: 'dispute the contract',
    allows: (model) => model.contract === 'active' && model.dispute === 'none',
    apply: (model) => {
      model.dispute = 'contract';
    },
    call: (real) => openDisputeOf(real),
  },
  {
    name: 'withdraw the dispute',
    allows: (model) => model.dispute !== 'none',
    apply: (model) => {
      model.dispute = 'none';
      finish(model);
    },
    // The dispute of an earlier step may be withdrawn already, which is not an error.
    call: async ({ forge, contract, disputeId }) => {
      const [row] = await forge.query<{ status: string }>({
        text: 'SELECT status FROM disputes WHERE id = $1',
        values: [disputeId],
      });
      if (row?.status === 'withdrawn')
        throw Object.assign(new Error('withdrawn'), { code: 'FORGE.ILLEGAL_TRANSITION' });
      return withdrawDispute(forge, { disputeId, by: contract.freelancerId });
    },
  },
  resolve,
  {
    name: 'cancel the contract',
    allows: (model) =>
      model.contract === 'cancelled' ||
      (model.contract === 'active' &&
        model.dispute === 'none' &&
        !model.milestones.some(({ escrow }) => /requested|held|settling/.test(escrow))),
    apply: (model) => {
      model.contract = 'cancelled';
      for (const milestone of model.milestones) if (milestone.status === 'planned') milestone.status = 'cancelled';
    },
    call: ({ forge, contract }) => cancelContract(forge, { contractId: contract.id, by: contract.freelancerId }),
  },
  {
    name: 'rate',
    allows: (model) =>
      model.contract !== 'active' && !model.rated && model.milestones.some(({ escrow }) => escrow === 'released'),
    apply: (model) => {
      model.rated = true;
    },
    call: ({ forge, contract }) =>
      rateContract(forge, { contractId: contract.id, authorId: contract.employerId, score: 4, ...key() }),
  },
];

/** How the runs begin, so that enough contracts pay something, and enough milestones are disputed. */
const PAID = ['fund 0', 'confirm 0', 'submit 0', 'approve 0', 'settle 0'];
const DISPUTED = ['fund 1', 'confirm 1', 'dispute 1'];

function stepOf(name: string): Step {
  const step = STEPS.find((it) => it.name === name);
  if (step === undefined) throw new Error(`There is no step "${name}"`);
  return step;
}

/** Everything that the model knows, in one row. */
const STATE = `
  SELECT c.status::text AS contract, j.status::text AS job,
    (SELECT jsonb_agg(jsonb_build_object('status', m.status, 'escrow', coalesce(e.status::text, 'none'), 'payout',
       CASE WHEN e.status IN ('settling', 'released', 'refunded') THEN e.payout_amount::text END) ORDER BY m.position)
     FROM milestones AS m LEFT JOIN escrows AS e ON e.milestone_id = m.id AND e.id = ANY ($2::text[]) WHERE m.contract_id = c.id) AS milestones,
    jsonb_build_array(p.total_earned::text, p.completed_jobs, p.rating_count) AS profile
  FROM contracts AS c JOIN jobs AS j ON j.id = c.job_id JOIN skill_profiles AS p ON p.user_id = c.freelancer_id WHERE c.id = $1`;

describe('a contract under any calls', () => {
  const db = useDatabase('forge');
  let forge: Forge;
  const met = new Set<string>();
  beforeAll(() => {
    forge = openForge({ url: db().url });
  });
  afterAll(() => forge.close());

  async function givenReal(): Promise<Real> {
    const job = await givenJob(forge);
    const application = await givenApplication(forge, job.id, '30.50000001');
    await saveSkillProfile(forge, { userId: application.freelancerId, skills: [] });
    const contract = await acceptApplication(forge, {
      ...{ applicationId: application.id, employerId: job.employerId, terms: 'x', ...key() },
      milestones: AMOUNTS.map((amount) => ({ title: 'x', amount })),
    });
    const { milestones } = await getContract(forge, { contractId: contract.id });
    return { forge, contract, ids: milestones.map(({ id }) => id), escrows: [], disputeId: 'none' };
  }

  /** Compares the database with the model. */
  async function expectAlike(model: Model, real: Real): Promise<void> {
    const row = await stateOf(real);
    expect(row).toEqual({
      contract: model.contract,
      job: { active: 'in_progress', completed: 'closed', cancelled: 'cancelled' }[model.contract],
      milestones: model.milestones.map(({ status, escrow, payout }) => {
        const isDecided = /settling|released|refunded/.test(escrow);
        return { status, escrow, payout: isDecided ? decimal(payout) : null };
      }),
      profile: [decimal(model.earned), model.contract === 'completed' ? 1 : 0, model.rated ? 1 : 0],
    });
  }

  async function stateOf({ contract, escrows }: Real) {
    const values = [contract.id, AMOUNTS.map((_, n) => escrows[n] ?? null)];
    const [row] = await forge.query<Readonly<Record<string, unknown>>>({ text: STATE, values });
    return row;
  }

  /** The code of a call, or `done`. `DATABASE.CONNECTION_LOST` if its session was ended when it had done everything but publish. */
  const outcomeOf = async (step: Step, real: Real, isEnded: boolean) => {
    const call = () => step.call(real);
    const error = isEnded
      ? await endSessionInside(db(), 'LOCK TABLE outbox', call)
      : await call().then(
          () => undefined,
          (failure) => failure,
        );
    return error === undefined ? 'done' : String(Object(error).code);
  };

  /** Few calls that the model rejects are made, and few that end a contract early. Some are made again after their session was ended. */
  const command = (step: Step, dice: number, isEnded = false): fc.AsyncCommand<Model, Real> => ({
    check: (model) => (step.allows(model) ? dice < 2 || !/^(refund|cancel the)/.test(step.name) : dice === 0),
    run: async (model, real) => {
      const expected = step.allows(model);
      let found = await outcomeOf(step, real, isEnded);
      if (found === 'DATABASE.CONNECTION_LOST') {
        met.add('ended');
        await expectAlike(model, real);
        found = await outcomeOf(step, real, false);
      }
      expect([step.name, found === 'done']).toEqual([step.name, expected]);
      if (found !== 'done') expect(found).toMatch(/^FORGE\./);
      met.add(`${step.name.replace(/ \d$/, '')}: ${found}`);
      if (expected) step.apply(model);
      await expectAlike(model, real);
    },
    toString: () => step.name,
  });

  it('is as the model says after every call, and no money is lost or doubled', async () => {
    await fc.assert(
      fc.asyncProperty(
        // Without the bias to short runs, which prove little.
        fc.noBias(
          fc.commands(
            STEPS.map((step) => fc.nat(63).map((dice) => command(step, dice % 8, dice < 8))),
            { maxCommands: 150, size: 'max' },
          ),
        ),
        fc.boolean(),
        async (commands, isPaid) => {
          const real = await givenReal();
          const milestones = AMOUNTS.map(() => ({ status: 'planned', escrow: 'none', payout: 0n }));
          const model: Model = { contract: 'active', milestones, dispute: 'none', rated: false, earned: 0n };
          for (const name of isPaid ? PAID : DISPUTED) await command(stepOf(name), 0).run(model, real);
          await fc.asyncModelRun(() => ({ model, real }), commands);
        },
      ),
      { numRuns: RUNS, seed: 20_261_201 },
    );

    expect(await reconcile(forge)).toEqual([]);
    const needed = [
      'approve',
      'refund',
      'settle',
      'resolve',
      'dispute',
      'cancel funding',
      'cancel the contract',
      'rate',
    ];
    expect(needed.filter((name) => !met.has(`${name}: done`))).toEqual([]);
    expect(met).toContain('ended');
  });
});
