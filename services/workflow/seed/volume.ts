import { rowsPerUser, type SeedBlock, type SeedRow, type TableRows, volumeId } from '@azora/db-core';
import { daysBefore, LOGS, PLUGINS, WELCOME_CONNECTIONS, WELCOME_NODES } from './fixtures';

/** Lower ids are for the fixed rows and for rows that people create. */
const FIRST_VOLUME_ID = 1_000_000;
const LOGS_PER_USER = 3;
const WRITTEN = ['created_at', 'updated_at'];

/** Each user has a workflow with two plugins and three log lines. */
export function volume(block: SeedBlock): readonly TableRows[] {
  return [
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
  ];
}

interface VolumeUser {
  readonly index: number;
  readonly workflowId: number;
  readonly at: Date;
}

function volumeRows(block: SeedBlock, rowsOf: (user: VolumeUser) => SeedRow[]): Iterable<SeedRow> {
  return rowsPerUser(block, (index, { now }) =>
    rowsOf({ index, workflowId: FIRST_VOLUME_ID + index, at: daysBefore(now, (index % 80) + 1) }),
  );
}

const STATUSES = ['published', 'draft', 'archived'] as const;

function workflowRows({ index, workflowId, at }: VolumeUser): SeedRow[] {
  const status = STATUSES[index % STATUSES.length] ?? STATUSES[0];
  const owner = volumeId('auth.User', index);
  return [[workflowId, `Workflow ${index}`, WELCOME_NODES, WELCOME_CONNECTIONS, status, owner, at, at]];
}

function pluginRows({ workflowId, at }: VolumeUser): SeedRow[] {
  return PLUGINS.map(({ id }) => [workflowId, id, at]);
}

function logRows({ index, workflowId, at }: VolumeUser): SeedRow[] {
  const firstId = FIRST_VOLUME_ID + index * LOGS_PER_USER;
  return LOGS.slice(0, LOGS_PER_USER).map(({ level, message, metadata }, n) => {
    return [firstId + n, workflowId, level, message, metadata, at, at];
  });
}
