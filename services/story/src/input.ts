import { idInput, textInput } from '@azora/db-core/input';
import { cursorInput, limitInput } from '@azora/db-core/paging';
import { z } from 'zod';

/** The caller's name for one request: a request that is sent twice with it takes effect once. */
export const keyInput: z.ZodType<string> = textInput(200);

/** The id of a row of this service. */
export const uuidInput = z.guid('is not a UUID');

/** A description, feedback, or another text of a person. */
export const longText: z.ZodType<string> = textInput(20_000);

/** The output of a step, or its error. */
export const outputText: z.ZodType<string> = textInput(200_000);

/** The person who decides, in auth; absent when an agent or the system does. */
export const byInput = idInput.optional();

/** Reads a page of rows whose ids are UUIDs. */
export const pageFields = {
  limit: limitInput,
  cursor: cursorInput.refine(({ id }) => uuidInput.safeParse(id).success, 'is not a cursor of a page').optional(),
};

export const storyInput = z.strictObject({ storyId: uuidInput });
export const stepInput = z.strictObject({ stepId: uuidInput });

/** The statuses and modes, as the CHECK constraints list them. */
export const storyStatus = z.enum([
  'Created',
  'Analyzing',
  'Analyzed',
  'Planning',
  'Planned',
  'Executing',
  'GatePending',
  'GateFailed',
  'ReadyToComplete',
  'Completed',
  'Failed',
  'Cancelled',
]);
export const workStatus = z.enum(['Pending', 'Running', 'Completed', 'Failed', 'Skipped']);
export const automationMode = z.enum(['Assisted', 'Autonomous', 'FullAutonomous']);
export const dispatchTarget = z.enum(['CopilotCli', 'InternalAgents']);
export const storySource = z.enum(['User', 'Guardian', 'System']);
export const priority = z.enum(['Low', 'Medium', 'High', 'Critical']);
export const gateMode = z.enum(['AutoProceed', 'PauseAlways']);
export const issueProvider = z.enum(['GitHub', 'AzureDevOps']);
export const approval = z.enum(['Approved', 'Rejected']);

export type StoryStatus = z.output<typeof storyStatus>;
/** The status of a step or a task. */
export type WorkStatus = z.output<typeof workStatus>;
export type AutomationMode = z.output<typeof automationMode>;
export type DispatchTarget = z.output<typeof dispatchTarget>;
export type StorySource = z.output<typeof storySource>;
export type Priority = z.output<typeof priority>;
export type GateMode = z.output<typeof gateMode>;
export type IssueProvider = z.output<typeof issueProvider>;
export type Approval = z.output<typeof approval>;
