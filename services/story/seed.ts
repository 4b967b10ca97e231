import { defineSeed, type SeedContext, seedUuid } from '@azora/db-core';
import { volumeRows } from './seed/volume';
import { openStory, type Prisma } from './src/index';

const storyId = seedUuid('story.Story.idempotent-transfers');
const migrateClaim = seedUuid('story.StepAttempt.migrate-1');

export const seed = defineSeed({
  open: openStory,

  async base({ prisma }, context) {
    await prisma.story.createMany({ data: [storyRow(context)], skipDuplicates: true });
    await prisma.storyStep.createMany({ data: stepRows(context), skipDuplicates: true });
    await prisma.storyTask.createMany({ data: taskRows(context), skipDuplicates: true });
    await prisma.stepAttempt.createMany({ data: attemptRows(context), skipDuplicates: true });
  },

  volume: volumeRows,
});

function hoursBefore({ now }: SeedContext, hours: number): Date {
  return new Date(now.getTime() - hours * 3_600_000);
}

interface PlannedStep {
  readonly slug: string;
  readonly wave: number;
  readonly name: string;
  readonly capability: string;
  readonly status: 'Completed' | 'Running' | 'Pending';
  /** The error of the first attempt, after which the step was retried. */
  readonly error?: string;
  readonly tasks?: readonly { readonly slug: string; readonly description: string }[];
}

const STEPS: readonly PlannedStep[] = [
  { slug: 'analyse', wave: 1, name: 'Read how transfers are booked', capability: 'analysis', status: 'Completed' },
  { slug: 'design', wave: 1, name: 'Choose the unique key', capability: 'design', status: 'Completed' },
  {
    slug: 'migrate',
    wave: 2,
    name: 'Write the migration',
    capability: 'coding',
    status: 'Running',
    tasks: [
      { slug: 'column', description: 'Add the column idempotency_key' },
      { slug: 'index', description: 'Add the unique index' },
    ],
  },
  {
    slug: 'store',
    wave: 2,
    name: 'Give the first answer again',
    capability: 'coding',
    status: 'Pending',
    error: 'A test still books twice',
  },
  { slug: 'verify', wave: 3, name: 'Race the same key', capability: 'testing', status: 'Pending' },
];

/** A story in the second of three waves; the first wave has passed its gate. */
function storyRow(context: SeedContext): Prisma.StoryCreateManyInput {
  return {
    id: storyId,
    title: 'Make transfers safe to repeat',
    description: 'A transfer that is sent twice with one key must be booked once.',
    repositoryPath: '/workspaces/azora',
    status: 'Executing',
    worktreePath: '/workspaces/azora-idempotent-transfers',
    gitBranch: 'feature/idempotent-transfers',
    analyzedContext: {
      summary: 'Transfers are booked by one function.',
      files: ['services/mint/src/transfers.ts'],
      ragResults: [],
      codeNodes: [],
    },
    executionPlan: {
      summary: 'Design, build, verify.',
      steps: STEPS.map(({ name, capability, wave, tasks = [] }) => ({
        name,
        capability,
        wave,
        tasks: tasks.map(({ description }) => description),
      })),
    },
    issueUrl: 'https://github.com/azora/azora/issues/42',
    issueProvider: 'GitHub',
    issueNumber: 42,
    issueOwner: 'azora',
    issueRepo: 'azora',
    userId: context.people.employer.id,
    patternName: 'generate-tests',
    patternLanguage: 'typescript',
    priority: 'High',
    suggestedCapability: 'coding',
    chatHistory: [
      { role: 'user', content: 'Please plan this in three waves.', at: hoursBefore(context, 26).toISOString() },
      { role: 'assistant', content: 'Planned: design, build, verify.', at: hoursBefore(context, 25).toISOString() },
    ],
    currentWave: 2,
    gateMode: 'PauseAlways',
    gateResult: { wave: 1, passed: true, feedback: 'The key is right.' },
    createdAt: hoursBefore(context, 26),
    updatedAt: hoursBefore(context, 1),
  };
}

/** Whether a worker has claimed the step at least once. */
const isStarted = ({ status, error }: PlannedStep) => status !== 'Pending' || error !== undefined;

function stepRows(context: SeedContext): Prisma.StoryStepCreateManyInput[] {
  return STEPS.map((step, index) => {
    const { slug, wave, name, capability, status, error = null } = step;
    const isDone = status === 'Completed';
    return {
      id: seedUuid(`story.StoryStep.${slug}`),
      storyId,
      order: index + 1,
      name,
      capability,
      status,
      error,
      wave,
      ...(isDone ? { output: 'Done', approval: 'Approved', reviewFeedback: 'Good' } : {}),
      ...(isStarted(step) ? { attempts: 1, assignedAgentId: `${capability}-agent` } : {}),
      ...(status === 'Running' ? { claimId: migrateClaim, leaseUntil: hoursBefore(context, 16) } : {}),
      startedAt: isStarted(step) ? hoursBefore(context, 24 - index) : null,
      completedAt: isDone ? hoursBefore(context, 20 - index) : null,
      createdAt: hoursBefore(context, 25),
      updatedAt: hoursBefore(context, 20 - index),
    };
  });
}

function attemptRows(context: SeedContext): Prisma.StepAttemptCreateManyInput[] {
  return STEPS.flatMap((step, index) => {
    if (!isStarted(step)) return [];
    const { slug, capability, status, error = null } = step;
    const startedAt = hoursBefore(context, 24 - index);
    const times = { startedAt, createdAt: startedAt, leaseUntil: hoursBefore(context, 16) };
    const isRunning = status === 'Running';
    return [
      {
        id: isRunning ? migrateClaim : seedUuid(`story.StepAttempt.${slug}-1`),
        stepId: seedUuid(`story.StoryStep.${slug}`),
        storyId,
        number: 1,
        agentId: `${capability}-agent`,
        ...times,
        ...(isRunning
          ? {}
          : {
              outcome: error === null ? 'Completed' : 'Failed',
              outcomeHash: '0'.repeat(64),
              endedAt: hoursBefore(context, 20 - index),
            }),
        error,
        updatedAt: hoursBefore(context, 20 - index),
      },
    ];
  });
}

function taskRows(context: SeedContext): Prisma.StoryTaskCreateManyInput[] {
  return STEPS.flatMap(({ slug, tasks = [] }) =>
    tasks.map((task, index) => ({
      id: seedUuid(`story.StoryTask.${task.slug}`),
      stepId: seedUuid(`story.StoryStep.${slug}`),
      order: index + 1,
      description: task.description,
      status: index === 0 ? 'Completed' : 'Running',
      completedAt: index === 0 ? hoursBefore(context, 2) : null,
      createdAt: hoursBefore(context, 22),
      updatedAt: hoursBefore(context, index === 0 ? 2 : 1),
    })),
  );
}
