import { defineSeed, type SeedContext, seedUuid } from '@azora/db-core';
import { volumeRows } from './seed/volume';
import { openStory, type Prisma } from './src/index';

const storyId = seedUuid('story.Story.idempotent-transfers');

export const seed = defineSeed({
  open: openStory,

  async base(story, context) {
    await story.prisma.story.createMany({ data: [storyRow(context)], skipDuplicates: true });
    await story.prisma.storyStep.createMany({ data: stepRows(context), skipDuplicates: true });
    await story.prisma.storyTask.createMany({ data: taskRows(context), skipDuplicates: true });
  },

  volume: volumeRows,
});

function hoursBefore({ now }: SeedContext, hours: number): Date {
  return new Date(now.getTime() - hours * 3_600_000);
}

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
    analyzedContext: { files: ['services/mint/src/transfers.ts'] },
    executionPlan: { waves: 3, steps: 5 },
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
      { role: 'user', content: 'Please plan this in three waves.' },
      { role: 'assistant', content: 'Planned: design, build, verify.' },
    ],
    currentWave: 2,
    gateResult: { wave: 1, passed: true },
    createdAt: hoursBefore(context, 26),
    updatedAt: hoursBefore(context, 1),
  };
}

interface PlannedStep {
  readonly slug: string;
  readonly wave: number;
  readonly name: string;
  readonly capability: string;
  readonly status: 'Completed' | 'Running' | 'Failed' | 'Pending';
}

const STEPS: readonly PlannedStep[] = [
  { slug: 'analyse', wave: 1, name: 'Read how transfers are booked', capability: 'analysis', status: 'Completed' },
  { slug: 'design', wave: 1, name: 'Choose the unique key', capability: 'design', status: 'Completed' },
  { slug: 'migrate', wave: 2, name: 'Write the migration', capability: 'coding', status: 'Running' },
  { slug: 'store', wave: 2, name: 'Give the first answer again', capability: 'coding', status: 'Failed' },
  { slug: 'verify', wave: 3, name: 'Race the same key', capability: 'testing', status: 'Pending' },
];

const OUTCOMES: Readonly<Record<PlannedStep['status'], Partial<Prisma.StoryStepCreateManyInput>>> = {
  Completed: { attempts: 1, output: 'Done', approval: 'Approved', reviewFeedback: 'Good' },
  Running: { attempts: 1 },
  Failed: { attempts: 1, error: 'A test still books twice' },
  Pending: {},
};

function stepRows(context: SeedContext): Prisma.StoryStepCreateManyInput[] {
  return STEPS.map(({ slug, wave, name, capability, status }, index) => {
    const started = status !== 'Pending';
    const ended = started && status !== 'Running';
    return {
      id: seedUuid(`story.StoryStep.${slug}`),
      storyId,
      order: index + 1,
      name,
      capability,
      status,
      ...OUTCOMES[status],
      assignedAgentId: started ? `${capability}-agent` : null,
      wave,
      startedAt: started ? hoursBefore(context, 24 - index) : null,
      completedAt: ended ? hoursBefore(context, 20 - index) : null,
      createdAt: hoursBefore(context, 25),
      updatedAt: hoursBefore(context, 20 - index),
    };
  });
}

function taskRows(context: SeedContext): Prisma.StoryTaskCreateManyInput[] {
  const tasks = [
    { slug: 'column', description: 'Add the column idempotency_key', done: true },
    { slug: 'index', description: 'Add the unique index', done: false },
  ];
  return tasks.map(({ slug, description, done }, index) => ({
    id: seedUuid(`story.StoryTask.${slug}`),
    stepId: seedUuid('story.StoryStep.migrate'),
    order: index + 1,
    description,
    status: done ? 'Completed' : 'Running',
    completedAt: done ? hoursBefore(context, 2) : null,
    createdAt: hoursBefore(context, 22),
    updatedAt: hoursBefore(context, done ? 2 : 1),
  }));
}
