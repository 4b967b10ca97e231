import { textInput } from '@azora/db-core/input';
import type { Page, PageInput } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Workflows } from './client';
import { readInput } from './errors';
import type { Prisma } from './generated/client';
import { numberPageFields, ownedFields, runIdInput } from './input';
import { type Log, type LogLevel, listRows, onlyRow } from './rows';
import { jsonInput } from './shapes';
import { getWorkflow, type WorkflowInput } from './workflows.store';

const MAX_LINES = 1_000;

export interface LogLine {
  /** `info` when absent. */
  readonly level?: LogLevel;
  readonly message: string;
  readonly metadata?: Prisma.JsonValue;
  /** A run of the workflow that the line is about. */
  readonly runId?: string;
}

export interface AppendLogsInput extends WorkflowInput {
  /** 1 to 1000, in their order. */
  readonly lines: readonly LogLine[];
}

export interface ListLogsInput extends PageInput, WorkflowInput {
  readonly runId?: string;
  readonly level?: LogLevel;
}

const levelInput = z.enum(['info', 'warn', 'error']);
const lineInput = z.strictObject({
  level: levelInput.default('info'),
  message: textInput(10_000),
  metadata: jsonInput(16_384).optional(),
  runId: runIdInput.optional(),
});
const appendInput = z.strictObject({ ...ownedFields, lines: z.array(lineInput).min(1).max(MAX_LINES) });
const listInput = z.strictObject({
  ...ownedFields,
  runId: runIdInput.optional(),
  level: levelInput.optional(),
  ...numberPageFields,
});

/**
 * Adds lines to the log of a workflow, all or none, at the time of the database. Returns their number. Lines are kept for 90 days.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`, `WORKFLOW.WORKFLOW_NOT_FOUND`; `WORKFLOW.RUN_NOT_FOUND`: the workflow has no such run
 */
export async function appendLogs(workflows: Workflows, input: AppendLogsInput): Promise<number> {
  const { workflowId, ownerId, lines } = readInput(appendInput, input);
  const values = [workflowId, ownerId, JSON.stringify(lines)];
  const text = 'SELECT append_logs($1, $2, $3) AS added';
  return onlyRow(await workflows.query<{ added: number }>({ text, values })).added;
}

/**
 * A page of the log of a workflow, newest first.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`, `WORKFLOW.WORKFLOW_NOT_FOUND`
 */
export async function listLogs(workflows: Workflows, input: ListLogsInput): Promise<Page<Log>> {
  const { runId, level, limit, cursor, ...owned } = readInput(listInput, input);
  await getWorkflow(workflows, owned);
  return listRows<Log>(workflows, {
    table: 'logs',
    where: [
      ['workflow_id = ?', owned.workflowId],
      ['run_id = ?', runId],
      ['level = ?', level],
    ],
    limit,
    cursor,
  });
}
