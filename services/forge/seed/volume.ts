import { rowsPerUser, type SeedBlock, type SeedRow, type TableRows, volumeId, volumePerson } from '@azora/db-core';

const DAY_MS = 86_400_000;
const daysBefore = (now: Date, days: number) => new Date(now.getTime() - days * DAY_MS);

/** The rows of the users of one block. They refer only to each other and to the fixed rows. */
export function volume(block: SeedBlock): readonly TableRows[] {
  return [
    {
      table: 'skill_profiles',
      columns: [
        'id',
        'user_id',
        'headline',
        'skills',
        'rating',
        'rating_count',
        'rating_total',
        'completed_jobs',
        'total_earned',
        'created_at',
        'updated_at',
      ],
      rows: rowsPerUser(block, profileRows),
    },
    {
      table: 'jobs',
      columns: [
        'id',
        'employer_id',
        'title',
        'description',
        'category',
        'skills',
        'budget',
        'deadline',
        'status',
        'published_at',
        'closed_at',
        'created_at',
        'updated_at',
      ],
      rows: rowsPerUser(block, jobRows),
    },
    {
      table: 'applications',
      columns: [
        'id',
        'job_id',
        'freelancer_id',
        'cover_letter',
        'proposed_amount',
        'estimated_days',
        'status',
        'decided_at',
        'created_at',
        'updated_at',
      ],
      rows: rowsPerUser(block, applicationRows),
    },
    {
      table: 'contracts',
      columns: [
        'id',
        'job_id',
        'application_id',
        'employer_id',
        'freelancer_id',
        'terms',
        'amount',
        'status',
        'starts_at',
        'ends_at',
        'completed_at',
        'created_at',
        'updated_at',
      ],
      rows: rowsPerUser(block, contractRows),
    },
    {
      table: 'milestones',
      columns: [
        'id',
        'contract_id',
        'position',
        'title',
        'amount',
        'status',
        'due_at',
        'submitted_at',
        'approved_at',
        'created_at',
        'updated_at',
      ],
      rows: rowsPerUser(block, milestoneRows),
    },
    {
      table: 'escrows',
      columns: [
        'id',
        'contract_id',
        'milestone_id',
        'payer_wallet_id',
        'payee_wallet_id',
        'amount',
        'payout_amount',
        'status',
        'held_at',
        'released_at',
        'created_at',
        'updated_at',
      ],
      rows: rowsPerUser(block, escrowRows),
    },
  ];
}

/**
 * Every third user posts one job. The next two users of the block apply, and the first of them gets the contract. Every
 * second contract is completed and paid. A job at the end of a block stays open, without applicants.
 */
interface Deal {
  readonly employer: number;
  readonly amount: number;
  readonly done: boolean;
  readonly applicants: readonly number[];
}

function dealOf(employer: number, { firstUser, userCount }: SeedBlock): Deal | null {
  if (employer % 3 !== 0) return null;
  const applicants = [employer + 1, employer + 2].filter((user) => user < firstUser + userCount);
  return {
    employer,
    amount: 100 + (employer % 40) * 10,
    done: employer % 2 === 0 && applicants.length > 0,
    applicants,
  };
}

const job = (employer: number) => volumeId('forge.Job', employer);
const application = (applicant: number) => volumeId('forge.Application', applicant);
const contract = (employer: number) => volumeId('forge.Contract', employer);
const milestone = (employer: number, n: number) => volumeId('forge.Milestone', employer * 2 + n);

const SKILLS = ['Python', 'React', 'TypeScript', 'Pandas', 'Solidity', 'Design'];
const skillOf = (user: number) => SKILLS[user % SKILLS.length] ?? '';

function profileRows(user: number, block: SeedBlock): SeedRow[] {
  // The user after the employer gets the contract.
  const deal = dealOf(user - 1, block);
  const won = user > block.firstUser && deal?.done ? deal : null;
  const at = daysBefore(block.now, 45);
  const skills = [skillOf(user), skillOf(user + 1)];
  const headline = `${volumePerson(user).name}, ${skills[0]}`;
  return [
    [
      volumeId('forge.SkillProfile', user),
      volumeId('auth.User', user),
      headline,
      skills,
      won ? 3 + (user % 5) / 2 : null,
      won ? 1 : 0,
      won ? 3 + (user % 5) / 2 : 0,
      won ? 1 : 0,
      won?.amount ?? 0,
      at,
      at,
    ],
  ];
}

function jobRows(user: number, block: SeedBlock): SeedRow[] {
  const deal = dealOf(user, block);
  if (deal === null) return [];
  const status = deal.applicants.length === 0 ? 'open' : deal.done ? 'closed' : 'in_progress';
  const at = daysBefore(block.now, 30);
  return [
    [
      job(user),
      volumeId('auth.User', user),
      `${skillOf(user)} work`,
      `We look for somebody who knows ${skillOf(user)} well.`,
      'Web Development',
      [skillOf(user)],
      deal.amount,
      daysBefore(block.now, -30),
      status,
      at,
      deal.done ? daysBefore(block.now, 3) : null,
      at,
      at,
    ],
  ];
}

function applicationRows(user: number, block: SeedBlock): SeedRow[] {
  const deal = dealOf(user, block);
  if (deal === null) return [];
  const at = daysBefore(block.now, 28);
  return deal.applicants.map((applicant, n) => [
    application(applicant),
    job(user),
    volumeId('auth.User', applicant),
    `I know ${skillOf(user)} well.`,
    deal.amount,
    14,
    n === 0 ? 'accepted' : 'rejected',
    daysBefore(block.now, 26),
    at,
    at,
  ]);
}

function contractRows(user: number, block: SeedBlock): SeedRow[] {
  const deal = contractedDeal(user, block);
  if (deal === null) return [];
  const at = daysBefore(block.now, 25);
  return [
    [
      contract(user),
      job(user),
      application(deal.freelancer),
      volumeId('auth.User', user),
      volumeId('auth.User', deal.freelancer),
      'Paid when the work is approved.',
      deal.amount,
      deal.done ? 'completed' : 'active',
      at,
      daysBefore(block.now, -10),
      deal.done ? daysBefore(block.now, 3) : null,
      at,
      at,
    ],
  ];
}

function milestoneRows(user: number, block: SeedBlock): SeedRow[] {
  const deal = contractedDeal(user, block);
  if (deal === null) return [];
  const at = daysBefore(block.now, 25);
  return [0, 1].map((n) => [
    milestone(user, n),
    contract(user),
    n + 1,
    n === 0 ? 'First version' : 'Final version',
    deal.amount / 2,
    deal.done ? 'approved' : 'funded',
    daysBefore(block.now, 10 - n * 10),
    deal.done ? daysBefore(block.now, 5) : null,
    deal.done ? daysBefore(block.now, 3) : null,
    at,
    at,
  ]);
}

function escrowRows(user: number, block: SeedBlock): SeedRow[] {
  const deal = contractedDeal(user, block);
  if (deal === null) return [];
  const at = daysBefore(block.now, 24);
  return [0, 1].map((n) => [
    volumeId('forge.Escrow', user * 2 + n),
    contract(user),
    milestone(user, n),
    volumeId('mint.Wallet', user),
    volumeId('mint.Wallet', deal.freelancer),
    deal.amount / 2,
    deal.done ? deal.amount / 2 : 0,
    deal.done ? 'released' : 'held',
    at,
    deal.done ? daysBefore(block.now, 3) : null,
    at,
    at,
  ]);
}

function contractedDeal(user: number, block: SeedBlock): (Deal & { freelancer: number }) | null {
  const deal = dealOf(user, block);
  const freelancer = deal?.applicants[0];
  return deal === null || freelancer === undefined ? null : { ...deal, freelancer };
}
