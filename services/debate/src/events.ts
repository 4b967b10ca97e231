import { defineEvent } from '@azora/db-core/events';
import { z } from 'zod';

/** An id or a name of this or another service. */
const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9:._|-]{0,254}$/);
const serial = z.int().min(1);
const cycleNumber = z.int().min(0);
const phase = z.enum(['debate', 'design', 'implement', 'verify', 'commit']);
const tier = z.enum(['fast', 'medium', 'slow', 'glacial']);

const debate = { service: 'debate', version: 1 } as const;
const ofLoop = ({ loopId }: { readonly loopId: string }) => loopId;
const ofDebate = ({ debateId }: { readonly debateId: string }) => debateId;
const ofAgent = ({ agentName }: { readonly agentName: string }) => agentName;

export const cycleStarted = defineEvent({
  ...debate,
  name: 'cycle-started',
  about: 'A cycle of a loop has started.',
  data: z.strictObject({ loopId: id, cycleNumber }),
  key: ofLoop,
});

export const phaseCompleted = defineEvent({
  ...debate,
  name: 'phase-completed',
  about: 'A phase of a cycle has ended.',
  data: z.strictObject({ loopId: id, cycleNumber, phase, success: z.boolean() }),
  key: ofLoop,
});

export const cycleEnded = defineEvent({
  ...debate,
  name: 'cycle-ended',
  about: 'A cycle has ended: its last phase succeeded, or one failed.',
  data: z.strictObject({ loopId: id, cycleNumber, status: z.enum(['succeeded', 'failed']) }),
  key: ofLoop,
});

export const cycleRolledBack = defineEvent({
  ...debate,
  name: 'cycle-rolled-back',
  about: 'What a cycle changed was rolled back.',
  data: z.strictObject({
    ...{ rollbackId: id, loopId: id, cycleNumber },
    reason: z.enum(['verify_failure', 'manual_intervention', 'timeout', 'conflict']),
    severity: z.enum(['low', 'medium', 'high', 'critical']),
  }),
  key: ofLoop,
});

export const evolutionRecorded = defineEvent({
  ...debate,
  name: 'evolution-recorded',
  about: 'It was recorded which files a cycle changed.',
  data: z.strictObject({ evolutionId: id, loopId: id, cycleNumber, files: z.int().min(0) }),
  key: ofLoop,
});

export const artifactConcluded = defineEvent({
  ...debate,
  name: 'artifact-concluded',
  about: 'A debate has a result.',
  data: z.strictObject({ artifactId: serial, loopId: id, cycleNumber, phase, consensusReached: z.boolean() }),
  key: ofLoop,
});

export const matchRated = defineEvent({
  ...debate,
  name: 'match-rated',
  about: 'A debate changed the ratings of its agents.',
  data: z.strictObject({ matchId: serial, debateId: id, winner: id.nullable(), participants: z.array(id).min(2) }),
  key: ofDebate,
});

export const positionResolved = defineEvent({
  ...debate,
  name: 'position-resolved',
  about: 'It was decided whether the claim of an agent is correct.',
  data: z.strictObject({
    ...{ positionId: id, agentName: id, debateId: id },
    outcome: z.enum(['correct', 'incorrect', 'unknown']),
  }),
  key: ofAgent,
});

export const positionReversed = defineEvent({
  ...debate,
  name: 'position-reversed',
  about: 'An agent took the opposite of its position, in the debate that is named.',
  data: z.strictObject({ positionId: id, agentName: id, debateId: id }),
  key: ofAgent,
});

export const memoryMoved = defineEvent({
  ...debate,
  name: 'memory-moved',
  about: 'A memory was promoted or demoted to another tier.',
  data: z.strictObject({ memoryId: id, from: tier, to: tier, reason: z.enum(['consolidated', 'surprise']) }),
  key: ({ memoryId }) => memoryId,
});

export const debateShared = defineEvent({
  ...debate,
  name: 'debate-shared',
  about: 'A debate got a share link.',
  data: z.strictObject({ debateId: id, ownerId: id, visibility: z.enum(['private', 'team', 'public']) }),
  key: ofDebate,
});

export const webhookDisabled = defineEvent({
  ...debate,
  name: 'webhook-disabled',
  about: 'Failures switched a webhook off, or its receiver answered that it is gone.',
  data: z.strictObject({ webhookId: id, userId: id.nullable(), failures: z.int().min(1) }),
  key: ({ webhookId }) => webhookId,
});

/** The events that debate publishes; the functions of prisma/migrations/20261206* write them. */
export const EVENTS = [
  cycleStarted,
  phaseCompleted,
  cycleEnded,
  cycleRolledBack,
  evolutionRecorded,
  artifactConcluded,
  matchRated,
  positionResolved,
  positionReversed,
  memoryMoved,
  debateShared,
  webhookDisabled,
] as const;
