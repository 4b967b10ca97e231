import { defineEvent } from '@azora/db-core/events';
import { z } from 'zod';

/** An id of this service. */
const uuid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
/** An id of another service. */
const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9:._|-]{0,254}$/);
const wave = z.int().min(0);
const status = z.enum([
  'Created',
  'Analyzing',
  'Analyzed',
  'Planning',
  'Planned',
  'Executing',
  'GatePending',
  'GateFailed',
  'ReadyToComplete',
  'Completed',
  'Failed',
  'Cancelled',
]);

const story = { service: 'story', version: 1 } as const;
const ofStory = ({ storyId }: { readonly storyId: string }) => storyId;

export const storyCreated = defineEvent({
  ...story,
  name: 'story-created',
  about: 'A story was created.',
  data: z.strictObject({
    storyId: uuid,
    userId: id.nullable(),
    source: z.enum(['User', 'Guardian', 'System']),
    priority: z.enum(['Low', 'Medium', 'High', 'Critical']),
  }),
  key: ofStory,
});

export const statusChanged = defineEvent({
  ...story,
  name: 'status-changed',
  about: 'The status of a story has changed, by a call or because its steps and gates say so.',
  data: z.strictObject({ storyId: uuid, from: status, to: status, wave }),
  key: ofStory,
});

export const waveStarted = defineEvent({
  ...story,
  name: 'wave-started',
  about: 'The steps of a wave are ready to be claimed.',
  data: z.strictObject({ storyId: uuid, wave }),
  key: ofStory,
});

export const wavesRerun = defineEvent({
  ...story,
  name: 'waves-rerun',
  about: 'A wave and all later ones were reset to run again.',
  data: z.strictObject({ storyId: uuid, wave }),
  key: ofStory,
});

export const gateDecided = defineEvent({
  ...story,
  name: 'gate-decided',
  about: 'The gate after a wave was passed or failed.',
  data: z.strictObject({ storyId: uuid, wave, passed: z.boolean() }),
  key: ofStory,
});

export const storyVerified = defineEvent({
  ...story,
  name: 'story-verified',
  about: 'The checks of a story that is ready to complete were recorded.',
  data: z.strictObject({ storyId: uuid, passed: z.boolean() }),
  key: ofStory,
});

export const chatMessageAdded = defineEvent({
  ...story,
  name: 'chat-message-added',
  about: 'A message was added to the conversation about a story.',
  data: z.strictObject({ storyId: uuid, role: z.enum(['user', 'assistant', 'system']) }),
  key: ofStory,
});

export const storyErased = defineEvent({
  ...story,
  name: 'story-erased',
  about: 'A story lost its person and its texts.',
  data: z.strictObject({ storyId: uuid }),
  key: ofStory,
});

const step = { storyId: uuid, stepId: uuid, wave };
const attempt = { ...step, attempt: z.int().min(1) };

export const stepStarted = defineEvent({
  ...story,
  name: 'step-started',
  about: 'A worker has claimed a step.',
  data: z.strictObject(attempt),
  key: ofStory,
});

export const stepCompleted = defineEvent({
  ...story,
  name: 'step-completed',
  about: 'A worker has completed a step.',
  data: z.strictObject(attempt),
  key: ofStory,
});

export const stepFailed = defineEvent({
  ...story,
  name: 'step-failed',
  about: 'A worker has failed a step, or its lease has lapsed five times in a row.',
  data: z.strictObject({ ...attempt, reason: z.enum(['error', 'lapsed']) }),
  key: ofStory,
});

export const stepReviewed = defineEvent({
  ...story,
  name: 'step-reviewed',
  about: 'A completed step was approved, or rejected to run again.',
  data: z.strictObject({ ...step, approval: z.enum(['Approved', 'Rejected']) }),
  key: ofStory,
});

export const stepRetried = defineEvent({
  ...story,
  name: 'step-retried',
  about: 'A failed step may run again.',
  data: z.strictObject(step),
  key: ofStory,
});

export const stepSkipped = defineEvent({
  ...story,
  name: 'step-skipped',
  about: 'A step was left out.',
  data: z.strictObject(step),
  key: ofStory,
});

/** The events that story publishes. */
export const EVENTS = [
  storyCreated,
  statusChanged,
  waveStarted,
  wavesRerun,
  gateDecided,
  storyVerified,
  chatMessageAdded,
  storyErased,
  stepStarted,
  stepCompleted,
  stepFailed,
  stepReviewed,
  stepRetried,
  stepSkipped,
] as const;
