import { defineSeed } from '@azora/db-core';
import { daysBefore, LOGS, PLUGINS, WELCOME_CONNECTIONS, WELCOME_NODES } from './seed/fixtures';
import { volume } from './seed/volume';
import { openWorkflow, type Workflow } from './src/index';

export const seed = defineSeed({
  open: openWorkflow,
  async base(workflow, { now, people }) {
    await seedWorkflows(workflow, people.educator.id, people.employer.id, now);
    await seedPlugins(workflow, now);
    await seedLogs(workflow, now);
  },
  volume,
});

async function seedWorkflows({ prisma }: Workflow, educatorId: string, employerId: string, now: Date): Promise<void> {
  await prisma.workflow.createMany({
    data: [
      {
        id: 1,
        name: 'Welcome a new student',
        description: 'Greets everybody who registers by mail and in the app.',
        nodes: WELCOME_NODES,
        connections: WELCOME_CONNECTIONS,
        settings: { timezone: 'Africa/Johannesburg', retries: 3 },
        status: 'published',
        ownerId: educatorId,
        version: 4,
        createdAt: daysBefore(now, 14),
        updatedAt: daysBefore(now, 7),
      },
      {
        id: 2,
        name: 'Rank applications',
        ownerId: employerId,
        createdAt: daysBefore(now, 2),
        updatedAt: daysBefore(now, 2),
      },
    ],
    skipDuplicates: true,
  });
}

async function seedPlugins({ prisma }: Workflow, now: Date): Promise<void> {
  const createdAt = daysBefore(now, 30);
  await prisma.plugin.createMany({
    data: PLUGINS.map((plugin) => ({ ...plugin, createdAt, updatedAt: createdAt })),
    skipDuplicates: true,
  });
  await prisma.workflowPlugin.createMany({
    data: PLUGINS.map(({ id }) => ({ workflowId: 1, pluginId: id, createdAt: daysBefore(now, 14) })),
    skipDuplicates: true,
  });
}

async function seedLogs({ prisma }: Workflow, now: Date): Promise<void> {
  await prisma.log.createMany({
    data: LOGS.map((log, index) => {
      const createdAt = daysBefore(now, 6, index);
      return { ...log, workflowId: 1, createdAt, updatedAt: createdAt };
    }),
    skipDuplicates: true,
  });
}
