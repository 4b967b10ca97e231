import { newId } from '@azora/db-core';
import { idInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Workflows } from './client';
import { readInput, runNotFound } from './errors';
import type { Prisma } from './generated/client';
import { byInput, keyInput, ownedFields, runIdInput, versionInput, workflowIdInput } from './input';
import { callFor, listRows, modelOf, type Row, type Run, type RunStatus, type RunStep } from './rows';
import { jsonInput } from './shapes';
import type { ChangeWorkflowInput } from './workflows.store';

const MAX_INPUT_CHARACTERS = 262_144;

export interface StartRunInput extends ChangeWorkflowInput {
  /** A published version; the newest one when absent. */
  readonly number?: number;
  /** What the triggers return to the nodes behind them; null when absent. */
  readonly input?: Prisma.JsonValue;
  readonly idempotencyKey: string;
}

/** A run, by the owner of its workflow. */
export interface RunInput {
  readonly runId: string;
  readonly ownerId: string;
}

/** A step with its result, null as long as it has none. */
export type StepWithResult = RunStep & { readonly result: Prisma.JsonValue };

/** A run with its steps in the order of the nodes. */
export interface RunWithSteps extends Run {
  readonly steps: readonly StepWithResult[];
}

export interface ListRunsInput extends PageInput {
  readonly ownerId: string;
  readonly workflowId?: number;
  readonly status?: RunStatus;
}

const startInput = z.strictObject({
  ...ownedFields,
  by: byInput,
  number: versionInput.optional(),
  input: jsonInput(MAX_INPUT_CHARACTERS).default(null),
  idempotencyKey: keyInput,
});
const oneInput = z.strictObject({ runId: runIdInput, ownerId: idInput });
const listInput = z.strictObject({
  ownerId: idInput,
  workflowId: workflowIdInput.optional(),
  status: z.enum(['running', 'completed', 'failed', 'cancelled']).optional(),
  ...pageFields,
});

/**
 * Starts a run of a published version, once per key. Its triggers are completed at once; workers execute the other nodes.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`, `WORKFLOW.KEY_REUSED`, `WORKFLOW.WORKFLOW_NOT_FOUND`, `WORKFLOW.WORKFLOW_ARCHIVED`,
 *   `WORKFLOW.NOT_PUBLISHED`; `WORKFLOW.RUN_NOT_FOUND`: the key started a run whose workflow was transferred since
 */
export async function startRun(workflows: Workflows, input: StartRunInput): Promise<Run> {
  const { idempotencyKey, ...body } = readInput(startInput, input);
  return callFor(workflows, 'SELECT * FROM start_run($1, $2, $3)', [idempotencyKey, newId(), JSON.stringify(body)]);
}

/**
 * Cancels a run that has not ended. Its open steps are canceled, and workers that have them lose their leases. Canceling it again returns
 * the run unchanged.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`, `WORKFLOW.RUN_NOT_FOUND`, `WORKFLOW.ILLEGAL_TRANSITION`
 */
export async function cancelRun(workflows: Workflows, input: RunInput): Promise<Run> {
  const { runId, ownerId } = readInput(oneInput, input);
  return callFor(workflows, 'SELECT * FROM cancel_run($1, $2)', [runId, ownerId]);
}

/**
 * Continues a failed or canceled run where it ended: completed steps keep their results, and the others get all of their attempts. A
 * running run is returned unchanged.
 * @throws {SuiteError} as {@link cancelRun}
 */
export async function retryRun(workflows: Workflows, input: RunInput): Promise<Run> {
  const { runId, ownerId } = readInput(oneInput, input);
  return callFor(workflows, 'SELECT * FROM retry_run($1, $2)', [runId, ownerId]);
}

const RUN_COLUMNS = [
  ...['id', 'workflow_id', 'number', 'status', 'input', 'error', 'started_by', 'deadline_at', 'finished_at'],
  ...['created_at', 'updated_at'],
];
const OF_RUN = 'run:';

/** One statement, so that the run and its steps are of one moment: each row is a step, with the columns of the run. */
const GET = `SELECT ${RUN_COLUMNS.map((column) => `r.${column} AS "${OF_RUN}${column}"`).join(', ')}, s.*, it.result
  FROM workflow_runs AS r JOIN workflows AS w ON w.id = r.workflow_id JOIN run_steps AS s ON s.run_id = r.id
  LEFT JOIN step_results AS it ON it.run_id = s.run_id AND it.node_id = s.node_id
  WHERE r.id = $1 AND w.owner_id = $2 ORDER BY s.position`;

/**
 * A run by its id, with its steps and their results.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`, `WORKFLOW.RUN_NOT_FOUND`
 */
export async function getRun(workflows: Workflows, input: RunInput): Promise<RunWithSteps> {
  const { runId, ownerId } = readInput(oneInput, input);
  const rows = await workflows.query<Row>({ text: GET, values: [runId, ownerId] });
  const [first] = rows;
  if (first === undefined) throw runNotFound({ runId });
  const run = RUN_COLUMNS.map((column) => [column, first[`${OF_RUN}${column}`]]);
  const steps = rows.map((row) => Object.entries(row).filter(([column]) => !column.startsWith(OF_RUN)));
  return {
    ...modelOf<Run>(Object.fromEntries(run)),
    steps: steps.map((step) => modelOf<StepWithResult>(Object.fromEntries(step))),
  };
}

/**
 * A page of the runs of an owner that match every given field, newest first.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`
 */
export async function listRuns(workflows: Workflows, input: ListRunsInput): Promise<Page<Run>> {
  const { ownerId, workflowId, status, limit, cursor } = readInput(listInput, input);
  return listRows<Run>(workflows, {
    table: 'workflow_runs',
    where: [
      ['workflow_id IN (SELECT w.id FROM workflows AS w WHERE w.owner_id = ?)', ownerId],
      ['workflow_id = ?', workflowId],
      ['status = ?', status],
    ],
    limit,
    cursor,
  });
}
