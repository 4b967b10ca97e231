import { idInput, textInput } from '@azora/db-core/input';
import type { Page, PageInput } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Workflows } from './client';
import { readInput, workflowNotFound } from './errors';
import { byInput, keyInput, numberPageFields, ownedFields, versionInput } from './input';
import { callFor, listRows, modelOf, onlyRow, type Row, type Workflow, type WorkflowStatus } from './rows';
import {
  type Connection,
  connectionsShape,
  nodesShape,
  settingsShape,
  type WorkflowNode,
  type WorkflowSettings,
} from './shapes';

/** A workflow, by its owner. */
export interface WorkflowInput {
  readonly workflowId: number;
  /** An auth.User. */
  readonly ownerId: string;
}

/** A change, by the owner or by the user `by` on behalf of the owner. */
export interface ChangeWorkflowInput extends WorkflowInput {
  /** An auth.User; the owner when absent. */
  readonly by?: string;
}

export interface CreateWorkflowInput {
  /** An auth.User. */
  readonly ownerId: string;
  readonly by?: string;
  readonly name: string;
  readonly description?: string;
  /** At most 500. */
  readonly nodes?: readonly WorkflowNode[];
  /** At most 2000. */
  readonly connections?: readonly Connection[];
  readonly settings?: WorkflowSettings;
  readonly idempotencyKey: string;
}

export interface SaveWorkflowInput extends ChangeWorkflowInput {
  /** The version that the editor has read. */
  readonly version: number;
  readonly name?: string;
  readonly description?: string | null;
  readonly nodes?: readonly WorkflowNode[];
  readonly connections?: readonly Connection[];
  readonly settings?: WorkflowSettings;
}

export interface TransferWorkflowInput extends ChangeWorkflowInput {
  /** The new owner, an auth.User. */
  readonly toId: string;
}

export interface ListWorkflowsInput extends PageInput {
  readonly ownerId: string;
  readonly status?: WorkflowStatus;
  /** True for the deleted workflows, which can be restored; the others when absent. */
  readonly deleted?: boolean;
}

const nameInput = textInput(255);
const descriptionInput = textInput(20_000);
const createInput = z.strictObject({
  ownerId: idInput,
  by: byInput,
  name: nameInput,
  description: descriptionInput.optional(),
  nodes: nodesShape.default([]),
  connections: connectionsShape.default([]),
  settings: settingsShape.default({}),
  idempotencyKey: keyInput,
});
const saveInput = z.strictObject({
  ...ownedFields,
  by: byInput,
  version: versionInput,
  name: nameInput.optional(),
  description: descriptionInput.nullable().optional(),
  nodes: nodesShape.optional(),
  connections: connectionsShape.optional(),
  settings: settingsShape.optional(),
});
const changeInput = z.strictObject({ ...ownedFields, by: byInput });
const transferInput = z.strictObject({ ...ownedFields, by: byInput, toId: idInput });
const oneInput = z.strictObject(ownedFields);
const listInput = z.strictObject({
  ownerId: idInput,
  status: z.enum(['draft', 'published', 'archived']).optional(),
  deleted: z.boolean().default(false),
  ...numberPageFields,
});

/**
 * Creates a draft, once per key. A draft may be incomplete: the graph is checked when it is published.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`, `WORKFLOW.KEY_REUSED`; `WORKFLOW.WORKFLOW_NOT_FOUND`: the key created a workflow that was
 *   deleted or transferred since
 */
export async function createWorkflow(workflows: Workflows, input: CreateWorkflowInput): Promise<Workflow> {
  const { idempotencyKey, ...body } = readInput(createInput, input);
  return callFor(workflows, 'SELECT * FROM create_workflow($1, $2)', [idempotencyKey, JSON.stringify(body)]);
}

/**
 * Changes the given fields of a draft, and raises its version. Published versions stay as they are.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`, `WORKFLOW.WORKFLOW_NOT_FOUND`, `WORKFLOW.WORKFLOW_ARCHIVED`; `WORKFLOW.VERSION_CONFLICT`:
 *   somebody else has saved it since it was read
 */
export async function saveWorkflow(workflows: Workflows, input: SaveWorkflowInput): Promise<Workflow> {
  const { workflowId, ownerId, version, by = null, ...change } = readInput(saveInput, input);
  const values = [workflowId, ownerId, version, by, JSON.stringify(change)];
  return callFor(workflows, 'SELECT * FROM save_workflow($1, $2, $3, $4, $5)', values);
}

/**
 * Archives a published workflow, for good: it never changes again and starts no more runs. Runs that have started continue. Archiving it again
 * returns it unchanged.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`, `WORKFLOW.WORKFLOW_NOT_FOUND`; `WORKFLOW.ILLEGAL_TRANSITION`: it is a draft
 */
export async function archiveWorkflow(workflows: Workflows, input: ChangeWorkflowInput): Promise<Workflow> {
  const { workflowId, ownerId, by = null } = readInput(changeInput, input);
  return callFor(workflows, 'SELECT * FROM archive_workflow($1, $2, $3)', [workflowId, ownerId, by]);
}

/**
 * Hides a workflow and lets it start no more runs, until it is restored. Runs that have started continue. Returns whether there was one.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`
 */
export async function deleteWorkflow(workflows: Workflows, input: ChangeWorkflowInput): Promise<boolean> {
  const { workflowId, ownerId, by = null } = readInput(changeInput, input);
  const text = 'SELECT delete_workflow($1, $2, $3) AS deleted';
  return onlyRow(await workflows.query<{ deleted: boolean }>({ text, values: [workflowId, ownerId, by] })).deleted;
}

/**
 * Shows a deleted workflow again, with its versions, runs and logs. One that is not deleted is returned unchanged.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`, `WORKFLOW.WORKFLOW_NOT_FOUND`
 */
export async function restoreWorkflow(workflows: Workflows, input: ChangeWorkflowInput): Promise<Workflow> {
  const { workflowId, ownerId, by = null } = readInput(changeInput, input);
  return callFor(workflows, 'SELECT * FROM restore_workflow($1, $2, $3)', [workflowId, ownerId, by]);
}

/**
 * Gives a workflow to another owner, who alone finds it and its runs from now on.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`, `WORKFLOW.WORKFLOW_NOT_FOUND`
 */
export async function transferWorkflow(workflows: Workflows, input: TransferWorkflowInput): Promise<Workflow> {
  const { workflowId, ownerId, toId, by = null } = readInput(transferInput, input);
  return callFor(workflows, 'SELECT * FROM transfer_workflow($1, $2, $3, $4)', [workflowId, ownerId, toId, by]);
}

/**
 * A workflow by its id.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`, `WORKFLOW.WORKFLOW_NOT_FOUND`
 */
export async function getWorkflow(workflows: Workflows, input: WorkflowInput): Promise<Workflow> {
  const { workflowId, ownerId } = readInput(oneInput, input);
  const text = 'SELECT * FROM workflows WHERE id = $1 AND owner_id = $2 AND deleted_at IS NULL';
  const [row] = await workflows.query<Row>({ text, values: [workflowId, ownerId] });
  if (row === undefined) throw workflowNotFound({ workflowId });
  return modelOf<Workflow>(row);
}

/**
 * A page of the workflows of an owner, newest first.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`
 */
export async function listWorkflows(workflows: Workflows, input: ListWorkflowsInput): Promise<Page<Workflow>> {
  const { ownerId, status, deleted, limit, cursor } = readInput(listInput, input);
  return listRows<Workflow>(workflows, {
    table: 'workflows',
    where: [
      ['owner_id = ?', ownerId],
      ['status = ?', status],
      ['(deleted_at IS NOT NULL) = ?', deleted],
    ],
    limit,
    cursor,
  });
}
