import { defineSeed } from '@azora/db-core';
import {
  daysBefore,
  LOGS,
  PLUGINS,
  VERSION_PLUGINS,
  WELCOME_CONNECTIONS,
  WELCOME_NODES,
  WELCOME_PLAN,
  WELCOME_SETTINGS,
} from './seed/fixtures';
import { resultRows, runRow, runsOf, stepRows } from './seed/runs';
import { volume } from './seed/volume';
import { openWorkflow, type Workflows } from './src/index';

export const seed = defineSeed({
  open: openWorkflow,
  async base(workflows, { now, people }) {
    await seedPlugins(workflows, now);
    await seedWorkflows(workflows, people.educator.id, people.employer.id, now);
    await seedVersion(workflows, people.educator.id, now);
    await seedRuns(workflows, people.educator.id, now);
    await seedLogs(workflows, now);
  },
  volume,
});

const WELCOME = {
  name: 'Welcome a new student',
  nodes: WELCOME_NODES,
  connections: WELCOME_CONNECTIONS,
  settings: WELCOME_SETTINGS,
};
const WELCOME_DRAFT_VERSION = 4;

async function seedPlugins({ prisma }: Workflows, now: Date): Promise<void> {
  const createdAt = daysBefore(now, 30);
  await prisma.plugin.createMany({
    data: PLUGINS.map((plugin) => ({ ...plugin, createdAt, updatedAt: createdAt })),
    skipDuplicates: true,
  });
}

async function seedWorkflows({ prisma }: Workflows, educatorId: string, employerId: string, now: Date): Promise<void> {
  await prisma.workflow.createMany({
    data: [
      {
        ...WELCOME,
        id: 1,
        description: 'Greets everybody who registers by mail and in the app.',
        status: 'published',
        ownerId: educatorId,
        createdBy: educatorId,
        updatedBy: educatorId,
        version: WELCOME_DRAFT_VERSION,
        createdAt: daysBefore(now, 14),
        updatedAt: daysBefore(now, 7),
      },
      {
        id: 2,
        name: 'Rank applications',
        ownerId: employerId,
        createdBy: employerId,
        updatedBy: employerId,
        createdAt: daysBefore(now, 2),
        updatedAt: daysBefore(now, 2),
      },
    ],
    skipDuplicates: true,
  });
  await prisma.workflowPlugin.createMany({
    data: PLUGINS.map(({ id }) => ({ workflowId: 1, pluginId: id, createdAt: daysBefore(now, 14) })),
    skipDuplicates: true,
  });
}

async function seedVersion({ prisma }: Workflows, educatorId: string, now: Date): Promise<void> {
  const version = { workflowId: 1, number: 1, draftVersion: WELCOME_DRAFT_VERSION, publishedBy: educatorId };
  const found = { plugins: VERSION_PLUGINS, plan: WELCOME_PLAN, createdAt: daysBefore(now, 7) };
  await prisma.workflowVersion.createMany({ data: [{ ...WELCOME, ...version, ...found }], skipDuplicates: true });
}

async function seedRuns({ prisma }: Workflows, educatorId: string, now: Date): Promise<void> {
  const runs = runsOf(now);
  const skipDuplicates = true;
  await prisma.workflowRun.createMany({ data: runs.map((run) => runRow(run, educatorId)), skipDuplicates });
  await prisma.runStep.createMany({ data: runs.flatMap(stepRows), skipDuplicates });
  await prisma.stepResult.createMany({ data: runs.flatMap(resultRows), skipDuplicates });
}

async function seedLogs({ prisma }: Workflows, now: Date): Promise<void> {
  await prisma.log.createMany({
    data: LOGS.map((log, index) => {
      const createdAt = daysBefore(now, 6, index);
      return { ...log, workflowId: 1, createdAt, updatedAt: createdAt };
    }),
    skipDuplicates: true,
  });
}
