import { rowsPerUser, type SeedBlock, type SeedRow, type TableRows, volumeId } from '@azora/db-core';
import {
  daysBefore,
  LOGS,
  PLUGINS,
  VERSION_PLUGINS,
  WELCOME_CONNECTIONS,
  WELCOME_NODES,
  WELCOME_PLAN,
  WELCOME_SETTINGS,
} from './fixtures';

/** Lower ids are for the fixed rows and for rows that people create. */
const FIRST_VOLUME_ID = 1_000_000;
const LOGS_PER_USER = 3;
const WRITTEN = ['created_at', 'updated_at'];
const GRAPH = [WELCOME_NODES, WELCOME_CONNECTIONS, WELCOME_SETTINGS];

/** Each user has a workflow with two plugins and three log lines; one that is not a draft has a version and a completed run. */
export function volume(block: SeedBlock): readonly TableRows[] {
  return [
    {
      table: 'workflows',
      columns: [
        'id',
        'name',
        'nodes',
        'connections',
        'settings',
        'status',
        'owner_id',
        'created_by',
        'updated_by',
        ...WRITTEN,
      ],
      rows: volumeRows(block, workflowRows),
    },
    {
      table: 'workflow_plugins',
      columns: ['workflow_id', 'plugin_id', 'created_at'],
      rows: volumeRows(block, pluginRows),
    },
    {
      table: 'workflow_versions',
      columns: [
        ...['workflow_id', 'number', 'draft_version', 'name', 'nodes', 'connections', 'settings', 'plugins', 'plan'],
        ...['published_by', 'created_at'],
      ],
      rows: volumeRows(block, versionRows),
    },
    {
      table: 'workflow_runs',
      columns: ['id', 'workflow_id', 'number', 'status', 'input', 'started_by', 'finished_at', ...WRITTEN],
      rows: volumeRows(block, runRows),
    },
    {
      table: 'run_steps',
      columns: [
        ...['run_id', 'node_id', 'type', 'position', 'needs', 'next_nodes', 'status', 'attempts', 'max_attempts'],
        ...['retry_delay_ms', 'timeout_ms', 'lease_id', 'due_at', 'started_at', 'finished_at', ...WRITTEN],
      ],
      rows: volumeRows(block, stepRows),
    },
    {
      table: 'step_results',
      columns: ['run_id', 'node_id', 'lease_id', 'result', 'created_at'],
      rows: volumeRows(block, resultRows),
    },
    {
      table: 'logs',
      columns: ['id', 'workflow_id', 'level', 'message', 'metadata', ...WRITTEN],
      rows: volumeRows(block, logRows),
    },
  ];
}

interface VolumeUser {
  readonly index: number;
  readonly workflowId: number;
  readonly owner: string;
  readonly at: Date;
}

function volumeRows(block: SeedBlock, rowsOf: (user: VolumeUser) => SeedRow[]): Iterable<SeedRow> {
  return rowsPerUser(block, (index, { now }) => {
    const owner = volumeId('auth.User', index);
    return rowsOf({ index, workflowId: FIRST_VOLUME_ID + index, owner, at: daysBefore(now, (index % 80) + 1) });
  });
}

const STATUSES = ['published', 'draft', 'archived'] as const;

function statusOf({ index }: VolumeUser): (typeof STATUSES)[number] {
  return STATUSES[index % STATUSES.length] ?? STATUSES[0];
}

const isPublished = (user: VolumeUser) => statusOf(user) !== 'draft';
const runIdOf = ({ index }: VolumeUser) => volumeId('workflow.WorkflowRun', index);

function workflowRows(user: VolumeUser): SeedRow[] {
  const { workflowId, index, owner, at } = user;
  return [[workflowId, `Workflow ${index}`, ...GRAPH, statusOf(user), owner, owner, owner, at, at]];
}

function pluginRows({ workflowId, at }: VolumeUser): SeedRow[] {
  return PLUGINS.map(({ id }) => [workflowId, id, at]);
}

function versionRows(user: VolumeUser): SeedRow[] {
  if (!isPublished(user)) return [];
  const { workflowId, index, owner, at } = user;
  return [[workflowId, 1, 1, `Workflow ${index}`, ...GRAPH, VERSION_PLUGINS, WELCOME_PLAN, owner, at]];
}

function runRows(user: VolumeUser): SeedRow[] {
  if (!isPublished(user)) return [];
  const { workflowId, owner, at } = user;
  return [[runIdOf(user), workflowId, 1, 'completed', { userId: owner }, owner, at, at, at]];
}

function stepRows(user: VolumeUser): SeedRow[] {
  if (!isPublished(user)) return [];
  const times = Array.from({ length: 5 }, () => user.at);
  return WELCOME_PLAN.map((step) => [
    ...[runIdOf(user), step.node_id, step.type, step.position, step.needs, step.next_nodes, 'completed'],
    ...[step.type === 'trigger' ? 0 : 1, step.max_attempts, step.retry_delay_ms, step.timeout_ms, 'seed', ...times],
  ]);
}

function resultRows(user: VolumeUser): SeedRow[] {
  if (!isPublished(user)) return [];
  return WELCOME_PLAN.map((step) => [runIdOf(user), step.node_id, 'seed', { isDone: true }, user.at]);
}

function logRows({ index, workflowId, at }: VolumeUser): SeedRow[] {
  const firstId = FIRST_VOLUME_ID + index * LOGS_PER_USER;
  return LOGS.slice(0, LOGS_PER_USER).map(({ level, message, metadata }, n) => {
    return [firstId + n, workflowId, level, message, metadata, at, at];
  });
}
