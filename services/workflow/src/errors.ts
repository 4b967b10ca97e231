import { type ConstraintErrors, type DatabaseErrorFacts, SuiteError } from '@azora/db-core';
import { inputReader } from '@azora/db-core/input';

/** Every code of an error that this store throws itself; the connection adds `DATABASE.*`. */
export const WORKFLOW_ERROR_CODES = [
  'WORKFLOW.GRAPH_INVALID',
  'WORKFLOW.ILLEGAL_TRANSITION',
  'WORKFLOW.INVALID_INPUT',
  'WORKFLOW.KEY_REUSED',
  'WORKFLOW.LEASE_LOST',
  'WORKFLOW.NOT_PUBLISHED',
  'WORKFLOW.PLUGIN_CHANGED',
  'WORKFLOW.PLUGIN_EXISTS',
  'WORKFLOW.PLUGIN_NOT_FOUND',
  'WORKFLOW.RESULT_TOO_LARGE',
  'WORKFLOW.ROW_FIXED',
  'WORKFLOW.RUN_NOT_FOUND',
  'WORKFLOW.SCHEMA_INVALID',
  'WORKFLOW.STEP_NOT_FOUND',
  'WORKFLOW.VERSION_CONFLICT',
  'WORKFLOW.VERSION_NOT_FOUND',
  'WORKFLOW.WORKFLOW_ARCHIVED',
  'WORKFLOW.WORKFLOW_NOT_FOUND',
] as const;

export type WorkflowErrorCode = (typeof WORKFLOW_ERROR_CODES)[number];

/** What the rule that rejected the call knows: names, ids and numbers. */
type Facts = DatabaseErrorFacts['facts'];

/** Checks the input of a function; WORKFLOW.INVALID_INPUT names the fields that are wrong and never shows their values. */
export const readInput = inputReader('WORKFLOW.INVALID_INPUT');

/** WORKFLOW.WORKFLOW_NOT_FOUND: the owner has no workflow with this id. */
export function workflowNotFound({ workflowId }: Facts): SuiteError {
  return new SuiteError('WORKFLOW.WORKFLOW_NOT_FOUND', 'The owner has no such workflow', {
    why: 'The id is unknown, the workflow belongs to another user, or it was deleted.',
    next: 'Pass the ownerId and an id that listWorkflows() returned for this user, or restore the workflow',
    meta: { workflowId },
  });
}

/** WORKFLOW.WORKFLOW_ARCHIVED: an archived workflow never changes and starts no runs. */
function workflowArchived({ workflowId }: Facts): SuiteError {
  return new SuiteError('WORKFLOW.WORKFLOW_ARCHIVED', 'The workflow is archived', {
    why: 'An archived workflow is read only and starts no runs.',
    next: 'Create a new workflow with the same nodes and connections',
    meta: { workflowId },
  });
}

/** WORKFLOW.VERSION_CONFLICT: somebody else has saved the workflow. */
function versionConflict({ workflowId, version, current }: Facts): SuiteError {
  return new SuiteError('WORKFLOW.VERSION_CONFLICT', 'The workflow was saved meanwhile', {
    why: `The call is about version ${version} of the draft; the present one is ${current}.`,
    next: 'Call getWorkflow(), apply the change to what it returns, and call again with its version',
    meta: { workflowId, version, current },
  });
}

/** WORKFLOW.GRAPH_INVALID: the draft cannot run; the error lists every finding. */
export function graphInvalid({ workflowId, findings }: Facts): SuiteError {
  const list = Array.isArray(findings) ? findings : [];
  const problems = [...new Set(list.map((finding) => String(Object(finding).problem)))];
  return new SuiteError('WORKFLOW.GRAPH_INVALID', 'The workflow cannot be published', {
    why: `Its graph has ${list.length} findings: ${problems.join(', ')}.`,
    next: 'Correct every finding in meta.findings, save the workflow, and publish it',
    meta: { workflowId, findings: list },
  });
}

/** WORKFLOW.VERSION_NOT_FOUND: the workflow has no published version with this number. */
export function versionNotFound({ workflowId, number }: Facts): SuiteError {
  return new SuiteError('WORKFLOW.VERSION_NOT_FOUND', 'The workflow has no such version', {
    next: 'Pass a number that listVersions() returned',
    meta: { workflowId, number },
  });
}

/** WORKFLOW.NOT_PUBLISHED: only published versions run. */
function notPublished({ workflowId, number }: Facts): SuiteError {
  return new SuiteError('WORKFLOW.NOT_PUBLISHED', 'The workflow has no such published version', {
    why: 'Runs execute published versions, never the draft.',
    next: 'Call publishWorkflow() first, and start the run with a number that listVersions() returns, or without a number',
    meta: { workflowId, number },
  });
}

/** WORKFLOW.PLUGIN_NOT_FOUND: no plugin has this name. */
export function pluginNotFound({ name }: Facts): SuiteError {
  return new SuiteError('WORKFLOW.PLUGIN_NOT_FOUND', 'The plugin does not exist', {
    next: 'Call registerPlugin(), or pass a name that listPlugins() returned',
    meta: { name },
  });
}

/** WORKFLOW.PLUGIN_EXISTS: another plugin has the name. */
function pluginExists({ name, version }: Facts): SuiteError {
  return new SuiteError('WORKFLOW.PLUGIN_EXISTS', 'Another plugin has this name', {
    kind: 'usage',
    why: `It has version ${version} and other fields.`,
    next: 'Choose another name, or call updatePlugin()',
    meta: { name, version },
  });
}

/** WORKFLOW.PLUGIN_CHANGED: somebody else has changed the plugin. */
export function pluginChanged(facts: Facts): SuiteError {
  return new SuiteError('WORKFLOW.PLUGIN_CHANGED', 'A plugin was changed meanwhile', {
    why: 'The call was made for an earlier version of the plugin.',
    next: 'Read the plugin with getPlugin(), and call again',
    meta: facts,
  });
}

/** WORKFLOW.SCHEMA_INVALID: the config schema of a plugin is not a JSON Schema of draft 2020-12. */
export function schemaInvalid(why: string): SuiteError {
  return new SuiteError('WORKFLOW.SCHEMA_INVALID', 'The config schema is not a valid JSON Schema', {
    kind: 'usage',
    why,
    next: 'Correct the schema; it follows draft 2020-12 and refers only to itself',
  });
}

/** WORKFLOW.RUN_NOT_FOUND: the owner has no run with this id. */
export function runNotFound({ runId }: Facts): SuiteError {
  return new SuiteError('WORKFLOW.RUN_NOT_FOUND', 'The owner has no such run', {
    why: 'The id is unknown, the workflow of the run belongs to another user, or its owner was erased.',
    next: 'Pass the id that startRun() returned',
    meta: { runId },
  });
}

/** WORKFLOW.STEP_NOT_FOUND: the run has no step for the node. */
function stepNotFound({ runId, nodeId }: Facts): SuiteError {
  return new SuiteError('WORKFLOW.STEP_NOT_FOUND', 'The run has no step for this node', {
    next: 'Pass the runId and the nodeId of a claimed step',
    meta: { runId, nodeId },
  });
}

/** WORKFLOW.LEASE_LOST: the worker does not have the step any more. */
function leaseLost({ runId, nodeId, status }: Facts): SuiteError {
  return new SuiteError('WORKFLOW.LEASE_LOST', 'The worker does not have the step any more', {
    why: `The step is ${status}. Its lease has lapsed and another worker has claimed it, its time is over, or its run has ended.`,
    next: 'Drop the result and claim other steps; extend the lease before it ends',
    meta: { runId, nodeId, status },
  });
}

/** WORKFLOW.RESULT_TOO_LARGE: a result has at most 1 MiB as JSON text. */
function resultTooLarge(facts: Facts): SuiteError {
  return new SuiteError('WORKFLOW.RESULT_TOO_LARGE', 'The result of the step is larger than 1 MiB as JSON', {
    kind: 'usage',
    next: 'Store the data elsewhere and return its id',
    meta: facts,
  });
}

/** WORKFLOW.ILLEGAL_TRANSITION: the status does not allow the change. */
function illegalTransition({ what, id, from, to }: Facts): SuiteError {
  return new SuiteError('WORKFLOW.ILLEGAL_TRANSITION', `The ${what} cannot go from ${from} to ${to}`, {
    why: 'The README of workflow lists the allowed changes.',
    next: 'Read the present status before the next call',
    meta: { what, id, from, to },
  });
}

/** WORKFLOW.KEY_REUSED: the idempotency key belongs to another request, which took effect. */
function keyReused({ operation, asked }: Facts): SuiteError {
  return new SuiteError('WORKFLOW.KEY_REUSED', 'The idempotency key belongs to another request', {
    kind: 'usage',
    why: `The key was used for ${operation} with its own input; this call is ${asked}.`,
    next: 'Use a new key for a new request, and repeat a call unchanged',
    meta: { operation, asked },
  });
}

/** WORKFLOW.ROW_FIXED: a statement changed what stays as it was written. */
function rowFixed(facts: Facts): SuiteError {
  return new SuiteError('WORKFLOW.ROW_FIXED', 'Published versions and results of steps never change', {
    kind: 'usage',
    why: 'A version gets the next number and stays as it was published; a step is completed with the result of its lease.',
    next: 'Call the functions of the store',
    meta: facts,
  });
}

/** The errors of what the database rejects, by the name of the rule or constraint. */
export const CONSTRAINT_ERRORS: ConstraintErrors = {
  workflow_not_found: workflowNotFound,
  workflow_archived: workflowArchived,
  version_conflict: versionConflict,
  graph_invalid: graphInvalid,
  not_published: notPublished,
  plugin_not_found: pluginNotFound,
  plugin_exists: pluginExists,
  plugin_changed: pluginChanged,
  plugins_changed: pluginChanged,
  run_not_found: runNotFound,
  step_not_found: stepNotFound,
  lease_lost: leaseLost,
  step_results_result_check: resultTooLarge,
  illegal_transition: illegalTransition,
  key_reused: keyReused,
  version_fixed: rowFixed,
  version_number: rowFixed,
  result_fixed: rowFixed,
  result_missing: rowFixed,
};
