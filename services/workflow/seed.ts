import { type CopyValue, defineSeed, type SeedBlock, volumeId } from '@azora/db-core';
import { openWorkflow, type Workflow } from './src/index';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** Ids below it are for rows made by hand and by the base seed. */
const FIRST_VOLUME_ID = 1_000_000;
const LOGS_PER_USER = 3;
const WRITTEN = ['created_at', 'updated_at'];

const WELCOME_NODES = [
  { id: 'registered', type: 'trigger', event: 'auth.user-registered' },
  { id: 'mail', type: 'email', template: 'welcome' },
  { id: 'announce', type: 'http-request', method: 'POST', path: '/notifications' },
];
const WELCOME_CONNECTIONS = [
  { from: 'registered', to: 'mail' },
  { from: 'registered', to: 'announce' },
];
const PLUGINS = [
  {
    id: 1,
    name: 'email',
    description: 'Sends mail from a template',
    version: '1.2.0',
    author: 'Azora',
    configSchema: { type: 'object', required: ['template'], properties: { template: { type: 'string' } } },
  },
  {
    id: 2,
    name: 'http-request',
    description: 'Calls an HTTP endpoint',
    version: '2.0.1',
    author: 'Azora',
    configSchema: { type: 'object', required: ['method', 'path'], properties: { method: { enum: ['GET', 'POST'] } } },
  },
];
const LOGS = [
  { id: 1, level: 'info', message: 'Run started', metadata: { run: 1 } },
  { id: 2, level: 'warn', message: 'Node announce was slow', metadata: { run: 1, node: 'announce', durationMs: 1840 } },
  { id: 3, level: 'error', message: 'Node mail failed: template is missing', metadata: { run: 1, node: 'mail' } },
  { id: 4, level: 'info', message: 'Run started', metadata: { run: 2 } },
];

export const seed = defineSeed({
  open: openWorkflow,
  async base(workflow, { now, people }) {
    await seedWorkflows(workflow, people.educator.id, people.employer.id, now);
    await seedPlugins(workflow, now);
    await seedLogs(workflow, now);
  },
  volume: (block) => [
    {
      table: 'workflows',
      columns: ['id', 'name', 'nodes', 'connections', 'status', 'owner_id', ...WRITTEN],
      rows: volumeRows(block, workflowRows),
    },
    {
      table: 'workflow_plugins',
      columns: ['workflow_id', 'plugin_id', 'created_at'],
      rows: volumeRows(block, pluginRows),
    },
    {
      table: 'logs',
      columns: ['id', 'workflow_id', 'level', 'message', 'metadata', ...WRITTEN],
      rows: volumeRows(block, logRows),
    },
  ],
});

function daysBefore(now: Date, days: number, minutes = 0): Date {
  return new Date(now.getTime() - days * DAY_MS + minutes * MINUTE_MS);
}

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

interface VolumeUser {
  readonly index: number;
  readonly workflowId: number;
  readonly at: Date;
}

type Row = readonly CopyValue[];

function* volumeRows({ firstUser, userCount, now }: SeedBlock, rowsOf: (user: VolumeUser) => Row[]): Generator<Row> {
  for (let index = firstUser; index < firstUser + userCount; index += 1) {
    yield* rowsOf({ index, workflowId: FIRST_VOLUME_ID + index, at: daysBefore(now, (index % 80) + 1) });
  }
}

const STATUSES = ['published', 'draft', 'archived'] as const;
/** As text: an array would be written as a PostgreSQL array, and these columns are jsonb. */
const NODES_JSON = JSON.stringify(WELCOME_NODES);
const CONNECTIONS_JSON = JSON.stringify(WELCOME_CONNECTIONS);

function workflowRows({ index, workflowId, at }: VolumeUser): Row[] {
  const status = STATUSES[index % STATUSES.length] ?? STATUSES[0];
  const owner = volumeId('auth.User', index);
  return [[workflowId, `Workflow ${index}`, NODES_JSON, CONNECTIONS_JSON, status, owner, at, at]];
}

function pluginRows({ workflowId, at }: VolumeUser): Row[] {
  return PLUGINS.map(({ id }) => [workflowId, id, at]);
}

function logRows({ index, workflowId, at }: VolumeUser): Row[] {
  const firstId = FIRST_VOLUME_ID + index * LOGS_PER_USER;
  return LOGS.slice(0, LOGS_PER_USER).map(({ level, message, metadata }, n) => {
    return [firstId + n, workflowId, level, message, metadata, at, at];
  });
}
