export { openWorkflow, type Workflows, type WorkflowTransaction } from './client';
export { WORKFLOW_ERROR_CODES, type WorkflowErrorCode } from './errors';
export { EVENTS } from './events';
export { $Enums, Prisma } from './generated/client';
export { checkSettings, type SettingsProblem } from './json-schema';
export { type AppendLogsInput, appendLogs, type ListLogsInput, type LogLine, listLogs } from './logs.store';
export { type Erasure, erasePerson, exportPerson, type PersonExport } from './person.store';
export {
  disablePlugin,
  enablePlugin,
  getPlugin,
  type LinkPluginInput,
  type ListPluginsInput,
  linkPlugin,
  listLinkedPlugins,
  listPlugins,
  type PluginInput,
  type RegisterPluginInput,
  registerPlugin,
  type UpdatePluginInput,
  unlinkPlugin,
  updatePlugin,
} from './plugins.store';
export { type Difference, reconcile } from './reconcile.store';
export type {
  Log,
  LogLevel,
  Plugin,
  Run,
  RunStatus,
  RunStep,
  StepStatus,
  VersionPlugin,
  Workflow,
  WorkflowStatus,
  WorkflowVersion,
} from './rows';
export {
  cancelRun,
  getRun,
  type ListRunsInput,
  listRuns,
  type RunInput,
  type RunWithSteps,
  retryRun,
  type StartRunInput,
  type StepWithResult,
  startRun,
} from './runs.store';
export type { Connection, RetryRule, WorkflowNode, WorkflowSettings } from './shapes';
export {
  type ClaimedStep,
  type ClaimStepsInput,
  type CompleteStepInput,
  claimSteps,
  completeStep,
  type ExtendStepLeaseInput,
  extendStepLease,
  type FailStepInput,
  failStep,
  type StepLeaseInput,
} from './steps.store';
export {
  checkWorkflow,
  type Finding,
  type GetVersionInput,
  getVersion,
  type ListVersionsInput,
  listVersions,
  type PublishWorkflowInput,
  publishWorkflow,
} from './versions.store';
export { type RunWorkflowsOptions, runWorkflows, type StepContext, type StepHandler } from './worker';
export {
  archiveWorkflow,
  type ChangeWorkflowInput,
  type CreateWorkflowInput,
  createWorkflow,
  deleteWorkflow,
  getWorkflow,
  type ListWorkflowsInput,
  listWorkflows,
  restoreWorkflow,
  type SaveWorkflowInput,
  saveWorkflow,
  type TransferWorkflowInput,
  transferWorkflow,
  type WorkflowInput,
} from './workflows.store';
