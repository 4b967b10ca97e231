import { requestHash } from '@azora/db-core';
import { idInput, textInput } from '@azora/db-core/input';
import type { Page, PageInput } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Stories } from './client';
import { readInput, storyNotFound } from './errors';
import {
  type AutomationMode,
  automationMode,
  type DispatchTarget,
  dispatchTarget,
  type GateMode,
  gateMode,
  type IssueProvider,
  issueProvider,
  keyInput,
  longText,
  type Priority,
  pageFields,
  priority,
  type StorySource,
  type StoryStatus,
  storyInput,
  storySource,
  storyStatus,
  uuidInput,
} from './input';
import { callFunction, listRows, modelOf, type Row, type Story, type StoryStep, type StoryTask } from './rows';
import { type ChatMessage, pathText } from './shapes';

/** An issue of a tracker that was understood. */
export interface Issue {
  readonly provider: IssueProvider;
  readonly number: number;
  readonly owner: string;
  readonly repo: string;
}

/** A pattern that the work follows. */
export interface Pattern {
  readonly name: string;
  readonly language?: string | null;
}

interface StoryFields {
  readonly description?: string | null;
  readonly repositoryPath?: string | null;
  readonly worktreePath?: string | null;
  readonly gitBranch?: string | null;
  readonly issueUrl?: string | null;
  readonly issue?: Issue | null;
  /** Assisted when absent. */
  readonly automationMode?: AutomationMode;
  /** CopilotCli when absent. */
  readonly dispatchTarget?: DispatchTarget;
  readonly pattern?: Pattern | null;
  /** Medium when absent. */
  readonly priority?: Priority;
  readonly suggestedCapability?: string | null;
  /** Whether each gate waits for a decision (PauseAlways) or lets the next wave start (AutoProceed, when absent). */
  readonly gateMode?: GateMode;
  /** How many steps may run at the same time, 1 to 100; 4 when absent. */
  readonly maxParallelism?: number;
}

export interface CreateStoryInput extends StoryFields {
  readonly title: string;
  /** The user who asked for it. */
  readonly userId?: string;
  /** User when absent. */
  readonly source?: StorySource;
  /** Only with the source Guardian. */
  readonly sourceGuardianId?: string;
  readonly idempotencyKey: string;
}

/** Null clears a field; absent fields stay. */
export interface UpdateStoryInput extends StoryFields {
  readonly storyId: string;
  readonly title?: string;
  readonly pullRequestUrl?: string | null;
}

export interface StoryInput {
  readonly storyId: string;
}

/** A story with its steps in their order, and the tasks of each of them, as of one moment. */
export interface StoryDetails extends Story {
  readonly steps: readonly (StoryStep & { readonly tasks: readonly StoryTask[] })[];
}

export interface ListStoriesInput extends PageInput {
  readonly statuses?: readonly StoryStatus[];
  readonly userId?: string;
  readonly repositoryPath?: string;
  readonly source?: StorySource;
  readonly priority?: Priority;
  readonly issueUrl?: string;
}

export interface AppendChatInput {
  readonly storyId: string;
  readonly role: ChatMessage['role'];
  readonly content: string;
  readonly idempotencyKey: string;
}

const name = textInput(100);
const fields = {
  description: longText.nullish(),
  repositoryPath: pathText.nullish(),
  worktreePath: pathText.nullish(),
  gitBranch: textInput(500).nullish(),
  issueUrl: pathText.nullish(),
  issue: z
    .strictObject({ provider: issueProvider, number: z.int().min(1).max(2_147_483_647), owner: name, repo: name })
    .nullish(),
  automationMode: automationMode.optional(),
  dispatchTarget: dispatchTarget.optional(),
  pattern: z.strictObject({ name, language: textInput(50).nullish() }).nullish(),
  priority: priority.optional(),
  suggestedCapability: name.nullish(),
  gateMode: gateMode.optional(),
  maxParallelism: z.int().min(1).max(100).optional(),
};
const createInput = z
  .strictObject({
    title: textInput(500),
    userId: idInput.optional(),
    source: storySource.optional(),
    sourceGuardianId: idInput.optional(),
    idempotencyKey: keyInput,
    ...fields,
  })
  .refine(({ source, sourceGuardianId }) => sourceGuardianId === undefined || source === 'Guardian', {
    path: ['sourceGuardianId'],
    message: 'is given without the source Guardian',
  });
const updateInput = z.strictObject({
  storyId: uuidInput,
  title: textInput(500).optional(),
  pullRequestUrl: pathText.nullish(),
  ...fields,
});
const listInput = z.strictObject({
  statuses: z.array(storyStatus).min(1).optional(),
  userId: idInput.optional(),
  repositoryPath: pathText.optional(),
  source: storySource.optional(),
  priority: priority.optional(),
  issueUrl: pathText.optional(),
  ...pageFields,
});
const chatInput = z.strictObject({
  storyId: uuidInput,
  role: z.enum(['user', 'assistant', 'system']),
  content: longText,
  idempotencyKey: keyInput,
});

/**
 * Creates a story, once per key. Returns the story as it is now, to a repeated call too.
 * @throws {SuiteError} `STORY.INVALID_INPUT`, `STORY.KEY_REUSED`
 */
export async function createStory(stories: Stories, input: CreateStoryInput): Promise<Story> {
  const { idempotencyKey, ...body } = readInput(createInput, input);
  return callFunction(stories, 'create_story', [idempotencyKey, requestHash(body), columnsOf(body)]);
}

/**
 * Changes the given fields of a story that has not ended. A lower maximum parallelism holds for new claims; a new gate mode holds at
 * once, so AutoProceed opens a pending gate.
 * @throws {SuiteError} `STORY.INVALID_INPUT`, `STORY.STORY_NOT_FOUND`, `STORY.STORY_ENDED`
 */
export async function updateStory(stories: Stories, input: UpdateStoryInput): Promise<Story> {
  const { storyId, ...patch } = readInput(updateInput, input);
  return callFunction(stories, 'update_story', [storyId, columnsOf(patch)]);
}

/** The columns of fields. An issue and a pattern are several columns, so that SQL reads them without JSON. */
function columnsOf(given: z.output<z.ZodObject<typeof fields>>) {
  const { issue, pattern, ...rest } = given;
  const columns = Object.entries(rest).map(([field, value]) => [snake(field), value]);
  return {
    ...Object.fromEntries(columns),
    ...(issue === undefined
      ? {}
      : {
          issue_provider: issue?.provider ?? null,
          issue_number: issue?.number ?? null,
          issue_owner: issue?.owner ?? null,
          issue_repo: issue?.repo ?? null,
        }),
    ...(pattern === undefined
      ? {}
      : { pattern_name: pattern?.name ?? null, pattern_language: pattern?.language ?? null }),
  };
}

const snake = (field: string) => field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** In one statement, so that a story and its steps are of the same moment. */
const DETAILS = `
  SELECT s.*, coalesce((
    SELECT jsonb_agg(to_jsonb(t) || jsonb_build_object('tasks', coalesce((
      SELECT jsonb_agg(to_jsonb(k) ORDER BY k."order") FROM story_tasks AS k WHERE k.step_id = t.id), '[]')) ORDER BY t."order")
    FROM story_steps AS t WHERE t.story_id = s.id), '[]') AS steps
  FROM stories AS s WHERE s.id = $1`;

/**
 * A story by its id, with its steps and tasks.
 * @throws {SuiteError} `STORY.INVALID_INPUT`, `STORY.STORY_NOT_FOUND`
 */
export async function getStory(stories: Stories, input: StoryInput): Promise<StoryDetails> {
  const { storyId } = readInput(storyInput, input);
  const [row] = await stories.query<Row & { readonly steps: readonly (Row & { readonly tasks: readonly Row[] })[] }>({
    text: DETAILS,
    values: [storyId],
  });
  if (row === undefined) throw storyNotFound({ storyId });
  const steps = row.steps.map((step) => ({
    ...modelOf<StoryStep>(withTimes(step)),
    tasks: step.tasks.map((task) => modelOf<StoryTask>(withTimes(task))),
  }));
  return { ...modelOf<Story>(row), steps };
}

/** In JSON a time is text. */
function withTimes(row: Row): Row {
  const columns = Object.entries(row).map(([column, value]) => [
    column,
    /_(at|until)$/.test(column) && typeof value === 'string' ? new Date(value) : value,
  ]);
  return Object.fromEntries(columns);
}

/**
 * A page of the stories that meet every given filter, newest first.
 * @throws {SuiteError} `STORY.INVALID_INPUT`
 */
export async function listStories(stories: Stories, input: ListStoriesInput = {}): Promise<Page<Story>> {
  const {
    statuses,
    userId,
    repositoryPath,
    source,
    priority: urgency,
    issueUrl,
    ...page
  } = readInput(listInput, input);
  return listRows(
    stories,
    'stories',
    [
      ['status = ANY (?::text[])', statuses],
      ['user_id = ?', userId],
      ['repository_path = ?', repositoryPath],
      ['source = ?', source],
      ['priority = ?', urgency],
      ['issue_url = ?', issueUrl],
    ],
    page,
  );
}

/**
 * A page of the stories whose verification has failed, by the JSON of its result, newest first.
 * @throws {SuiteError} `STORY.INVALID_INPUT`
 */
export async function listFailedVerifications(stories: Stories, input: PageInput = {}): Promise<Page<Story>> {
  const page = readInput(z.strictObject(pageFields), input);
  return listRows(stories, 'stories', [["verification_result ->> 'passed' = 'false' AND ?::boolean", true]], page);
}

/**
 * Adds a message to the end of the conversation about a story, once per key. The database dates it.
 * @throws {SuiteError} `STORY.INVALID_INPUT`, `STORY.KEY_REUSED`, `STORY.STORY_NOT_FOUND`, `STORY.STORY_ENDED`,
 *   `STORY.CHAT_FULL`: it has 1,000 messages, or about 1 MB
 */
export async function appendChat(stories: Stories, input: AppendChatInput): Promise<Story> {
  const { idempotencyKey, ...body } = readInput(chatInput, input);
  const { storyId, role, content } = body;
  return callFunction(stories, 'append_chat', [idempotencyKey, requestHash(body), storyId, role, content]);
}
