import { defineEvent } from '@azora/db-core/events';
import { z } from 'zod';

/** An id of this or another service, as `newId` and the seed make them. */
const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9:._|-]{0,254}$/);
/** An amount with 8 decimals. */
const amount = z.string().regex(/^\d{1,10}\.\d{8}$/);
const currency = z.enum(['AZR', 'BTC', 'ETH', 'USD']);

const forge = { service: 'forge', version: 1 } as const;
const ofJob = ({ jobId }: { readonly jobId: string }) => jobId;
const ofContract = ({ contractId }: { readonly contractId: string }) => contractId;

export const jobPublished = defineEvent({
  ...forge,
  name: 'job-published',
  about: 'A job is open to applications.',
  data: z.strictObject({ jobId: id, employerId: id, budget: amount, currency }),
  key: ofJob,
});

export const jobClosed = defineEvent({
  ...forge,
  name: 'job-closed',
  about: 'A published job has ended: it was closed, or canceled.',
  data: z.strictObject({ jobId: id, employerId: id, reason: z.enum(['closed', 'cancelled']) }),
  key: ofJob,
});

const application = { applicationId: id, jobId: id, employerId: id, freelancerId: id };

export const applicationSubmitted = defineEvent({
  ...forge,
  name: 'application-submitted',
  about: 'A freelancer applied for a job.',
  data: z.strictObject(application),
  key: ofJob,
});

export const applicationMoved = defineEvent({
  ...forge,
  name: 'application-moved',
  about: 'An application was shortlisted, accepted, rejected or withdrawn.',
  data: z.strictObject({ ...application, status: z.enum(['shortlisted', 'accepted', 'rejected', 'withdrawn']) }),
  key: ofJob,
});

const contract = { contractId: id, jobId: id, employerId: id, freelancerId: id };

export const contractStarted = defineEvent({
  ...forge,
  name: 'contract-started',
  about: 'A contract binds an employer and a freelancer.',
  data: z.strictObject({ ...contract, amount, currency }),
  key: ofContract,
});

export const contractEnded = defineEvent({
  ...forge,
  name: 'contract-ended',
  about: 'A contract was completed, or canceled.',
  data: z.strictObject({ ...contract, status: z.enum(['completed', 'cancelled']) }),
  key: ofContract,
});

const milestone = z.strictObject({ milestoneId: id, contractId: id, employerId: id, freelancerId: id });

export const workSubmitted = defineEvent({
  ...forge,
  name: 'work-submitted',
  about: 'The freelancer submitted the work of a milestone.',
  data: milestone,
  key: ofContract,
});

export const changesRequested = defineEvent({
  ...forge,
  name: 'changes-requested',
  about: 'The employer returned the work of a milestone.',
  data: milestone,
  key: ofContract,
});

export const workApproved = defineEvent({
  ...forge,
  name: 'work-approved',
  about: 'The employer approved the work of a milestone.',
  data: milestone,
  key: ofContract,
});

const escrow = {
  ...{ escrowId: id, contractId: id, milestoneId: id, payerWalletId: id, payeeWalletId: id },
  ...{ amount, currency },
};
const decided = { ...escrow, holdId: id.nullable(), payoutAmount: amount, refundAmount: amount };

export const escrowRequested = defineEvent({
  ...forge,
  name: 'escrow-requested',
  about: 'The employer asked for a hold of the amount on the wallet of the payer.',
  data: z.strictObject(escrow),
  key: ofContract,
});

export const escrowHeld = defineEvent({
  ...forge,
  name: 'escrow-held',
  about: 'A hold sets the money of a milestone aside; its work can begin.',
  data: z.strictObject({ ...escrow, holdId: id.nullable() }),
  key: ofContract,
});

export const escrowCancelled = defineEvent({
  ...forge,
  name: 'escrow-cancelled',
  about: 'A requested escrow was given up; no money was set aside.',
  data: z.strictObject(escrow),
  key: ofContract,
});

export const escrowSettling = defineEvent({
  ...forge,
  name: 'escrow-settling',
  about: 'It was decided which part of the held money is paid to the freelancer; a saga captures or releases the hold.',
  data: z.strictObject(decided),
  key: ofContract,
});

export const escrowSettled = defineEvent({
  ...forge,
  name: 'escrow-settled',
  about: 'The held money was paid or returned as decided.',
  data: z.strictObject({ ...decided, transactionId: id.nullable(), status: z.enum(['released', 'refunded']) }),
  key: ofContract,
});

const dispute = {
  ...{ disputeId: id, contractId: id, milestoneId: id.nullable(), raisedById: id, employerId: id, freelancerId: id },
  reason: z.enum(['quality', 'deadline', 'payment', 'scope', 'conduct']),
};

export const disputeOpened = defineEvent({
  ...forge,
  name: 'dispute-opened',
  about: 'A party disputes a milestone, or the whole contract; what it is about is frozen.',
  data: z.strictObject(dispute),
  key: ofContract,
});

export const disputeReviewed = defineEvent({
  ...forge,
  name: 'dispute-reviewed',
  about: 'An arbiter reviews a dispute.',
  data: z.strictObject(dispute),
  key: ofContract,
});

export const disputeClosed = defineEvent({
  ...forge,
  name: 'dispute-closed',
  about: 'A dispute was resolved, or withdrawn.',
  data: z.strictObject({ ...dispute, status: z.enum(['resolved', 'withdrawn']) }),
  key: ofContract,
});

export const contractRated = defineEvent({
  ...forge,
  name: 'contract-rated',
  about: 'A party of an ended contract rated the other one.',
  data: z.strictObject({
    ...{ ratingId: id, contractId: id, authorId: id, rateeId: id },
    rateeRole: z.enum(['employer', 'freelancer']),
    score: z.int().min(1).max(5),
  }),
  key: ofContract,
});

/** The events that forge publishes; prisma/migrations/20261201000013_publish writes them. */
export const EVENTS = [
  jobPublished,
  jobClosed,
  applicationSubmitted,
  applicationMoved,
  contractStarted,
  contractEnded,
  workSubmitted,
  changesRequested,
  workApproved,
  escrowRequested,
  escrowHeld,
  escrowCancelled,
  escrowSettling,
  escrowSettled,
  disputeOpened,
  disputeReviewed,
  disputeClosed,
  contractRated,
] as const;
