import type { Page, PageInput } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Workflows } from './client';
import { graphInvalid, readInput, versionNotFound, workflowNotFound } from './errors';
import { byInput, numberPageFields, ownedFields, versionInput } from './input';
import { checkSettings } from './json-schema';
import { callFor, listRows, modelOf, type Row, type VersionPlugin, type Workflow, type WorkflowVersion } from './rows';
import type { WorkflowNode } from './shapes';
import { type ChangeWorkflowInput, getWorkflow, type WorkflowInput } from './workflows.store';

/** How often a publication begins anew when a plugin of the workflow is changed at the same time. */
const MAX_TRIES = 5;

export interface PublishWorkflowInput extends ChangeWorkflowInput {
  /** The version of the draft that the editor has read. */
  readonly version: number;
}

export interface GetVersionInput extends WorkflowInput {
  readonly number: number;
}

export interface ListVersionsInput extends PageInput, WorkflowInput {}

/** One thing that keeps a workflow from being published. Positions count from 0; `node` and `nodes` are ids of nodes. */
export type Finding =
  | { readonly problem: 'invalid_node' | 'invalid_connection'; readonly position: number }
  | {
      /** An id that two nodes have, one that only connections name, a trigger that others lead to, or a node that no trigger leads to. */
      readonly problem: 'duplicate_node' | 'unknown_node' | 'trigger_not_first' | 'unreachable_node';
      readonly node: string;
    }
  /** The type is neither `trigger` nor an enabled plugin that the workflow is linked with. */
  | { readonly problem: 'unknown_type'; readonly node: string; readonly type: string }
  | { readonly problem: 'no_trigger' }
  /** All nodes that lie on a cycle. */
  | { readonly problem: 'cycle'; readonly nodes: readonly string[] }
  /** The settings of a node do not fit the schema of its plugin; `path` is a JSON Pointer. */
  | { readonly problem: 'invalid_settings'; readonly node: string; readonly path: string; readonly message: string };

const publishInput = z.strictObject({ ...ownedFields, by: byInput, version: versionInput });
const oneInput = z.strictObject(ownedFields);
const getInput = z.strictObject({ ...ownedFields, number: versionInput });
const listInput = z.strictObject({ ...ownedFields, ...numberPageFields });

/**
 * Keeps the draft as the next version, which never changes and which runs execute from now on. Numbers have no gaps. A draft that has not
 * changed since it was published keeps its number.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`, `WORKFLOW.WORKFLOW_NOT_FOUND`, `WORKFLOW.WORKFLOW_ARCHIVED`, `WORKFLOW.VERSION_CONFLICT`;
 *   `WORKFLOW.GRAPH_INVALID` with every {@link Finding}; `WORKFLOW.PLUGIN_CHANGED`: its plugins changed again and again meanwhile
 */
export async function publishWorkflow(workflows: Workflows, input: PublishWorkflowInput): Promise<WorkflowVersion> {
  const { workflowId, ownerId, version, by = null } = readInput(publishInput, input);
  for (let left = MAX_TRIES - 1; ; left -= 1) {
    const { plugins, findings, ...draft } = await readDraft(workflows, { workflowId, ownerId });
    const isAsked = draft.version === version && draft.status !== 'archived';
    // Of another draft than the asked one, the database says what is wrong.
    if (isAsked && findings.length > 0) throw graphInvalid({ workflowId, findings });
    const values = [workflowId, ownerId, version, by, JSON.stringify(plugins)];
    try {
      return await callFor(workflows, 'SELECT * FROM publish_workflow($1, $2, $3, $4, $5)', values);
    } catch (error) {
      if (left === 0 || Object(error).code !== 'WORKFLOW.PLUGIN_CHANGED') throw error;
    }
  }
}

/**
 * Everything that keeps the draft from being published; empty when it can be.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`, `WORKFLOW.WORKFLOW_NOT_FOUND`
 */
export async function checkWorkflow(workflows: Workflows, input: WorkflowInput): Promise<readonly Finding[]> {
  return (await readDraft(workflows, readInput(oneInput, input))).findings;
}

/**
 * A published version by its number.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`, `WORKFLOW.WORKFLOW_NOT_FOUND`, `WORKFLOW.VERSION_NOT_FOUND`
 */
export async function getVersion(workflows: Workflows, input: GetVersionInput): Promise<WorkflowVersion> {
  const { number, ...owned } = readInput(getInput, input);
  await getWorkflow(workflows, owned);
  const text = 'SELECT * FROM workflow_versions WHERE workflow_id = $1 AND number = $2';
  const [row] = await workflows.query<Row>({ text, values: [owned.workflowId, number] });
  if (row === undefined) throw versionNotFound({ workflowId: owned.workflowId, number });
  return modelOf<WorkflowVersion>(row);
}

/**
 * A page of the published versions of a workflow, newest first.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`, `WORKFLOW.WORKFLOW_NOT_FOUND`
 */
export async function listVersions(workflows: Workflows, input: ListVersionsInput): Promise<Page<WorkflowVersion>> {
  const { limit, cursor, ...owned } = readInput(listInput, input);
  await getWorkflow(workflows, owned);
  const where = [['workflow_id = ?', owned.workflowId]] as const;
  return listRows<WorkflowVersion>(workflows, { table: 'workflow_versions', id: 'number', where, limit, cursor });
}

interface Draft extends Pick<Workflow, 'version' | 'status'> {
  readonly plugins: readonly VersionPlugin[];
  readonly findings: readonly Finding[];
}

/** One statement, so that the findings are about the nodes and plugins that it returns. */
const READ_DRAFT = `SELECT w.version, w.status, w.nodes, p.plugins, findings_of(w, p.plugins) AS findings
  FROM workflows AS w CROSS JOIN LATERAL plugins_of(w.id) AS p (plugins)
  WHERE w.id = $1 AND w.owner_id = $2 AND w.deleted_at IS NULL`;

async function readDraft(workflows: Workflows, { workflowId, ownerId }: WorkflowInput): Promise<Draft> {
  const [draft] = await workflows.query<Draft & { readonly nodes: readonly WorkflowNode[] }>({
    text: READ_DRAFT,
    values: [workflowId, ownerId],
  });
  if (draft === undefined) throw workflowNotFound({ workflowId });
  const { nodes, plugins, findings, ...rest } = draft;
  return { ...rest, plugins, findings: [...findings, ...nodes.flatMap((node) => settingsFindings(node, plugins))] };
}

/** Nodes that are not objects have findings of their own. */
function settingsFindings(node: WorkflowNode | null, plugins: readonly VersionPlugin[]): readonly Finding[] {
  const plugin = plugins.find(({ name }) => name === node?.type);
  if (node === null || plugin === undefined || plugin.configSchema === null) return [];
  return checkSettings(plugin.configSchema, node.settings ?? {}).map((problem) => {
    return { problem: 'invalid_settings', node: node.id, ...problem };
  });
}
