export type { Page, PageInput } from '@azora/db-core/paging';
export { openStory, type Stories, type StoriesTransaction } from './client';
export { STORY_ERROR_CODES, type StoryErrorCode } from './errors';
export { EVENTS } from './events';
export {
  type CancelStoryInput,
  type CompleteStoryInput,
  cancelStory,
  completeStory,
  type DecideGateInput,
  type Difference,
  decideGate,
  type RecordVerificationInput,
  type RerunFromWaveInput,
  reconcile,
  recordVerification,
  rerunFromWave,
  startStory,
} from './execution.store';
export { $Enums, Prisma } from './generated/client';
export type {
  Approval,
  AutomationMode,
  DispatchTarget,
  GateMode,
  IssueProvider,
  Priority,
  StorySource,
  StoryStatus,
  WorkStatus,
} from './input';
export { type Erasure, erasePerson, exportPerson, type PersonExport } from './person.store';
export {
  beginAnalysis,
  beginPlanning,
  failPlanning,
  type RecordAnalysisInput,
  type RecordPlanInput,
  recordAnalysis,
  recordPlan,
} from './planning.store';
export type { StepAttempt, Story, StoryStep, StoryTask } from './rows';
export type {
  AnalyzedContext,
  ChatMessage,
  CheckResult,
  ContextNode,
  ExecutionPlan,
  GateResult,
  PlannedStep,
  RagResult,
  VerificationResult,
} from './shapes';
export {
  type ClaimedStep,
  type ClaimReadyStepsInput,
  type CompleteStepInput,
  claimReadySteps,
  completeStep,
  type ExtendLeaseInput,
  extendLease,
  type FailStepInput,
  failStep,
  type ListStepAttemptsInput,
  type ListStepsInput,
  listStepAttempts,
  listSteps,
  type ReviewStepInput,
  retryStep,
  reviewStep,
  type StepActionInput,
  skipStep,
} from './steps.store';
export {
  type AppendChatInput,
  appendChat,
  type CreateStoryInput,
  createStory,
  getStory,
  type Issue,
  type ListStoriesInput,
  listFailedVerifications,
  listStories,
  type Pattern,
  type StoryDetails,
  type StoryInput,
  type UpdateStoryInput,
  updateStory,
} from './stories.store';
export {
  type AddTaskInput,
  addTask,
  type ListTasksInput,
  listTasks,
  type MoveTaskInput,
  moveTask,
} from './tasks.store';
