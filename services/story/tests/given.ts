import { randomUUID } from 'node:crypto';
import type { TestDatabase } from '@azora/db-testkit';
import {
  beginPlanning,
  type ClaimedStep,
  type CreateStoryInput,
  claimReadySteps,
  completeStep,
  createStory,
  getStory,
  openStory,
  type PlannedStep,
  recordPlan,
  type Stories,
  type StoryDetails,
  type StoryStep,
  startStory,
} from '../src';

export function fresh(name: string): string {
  return `${name}-${randomUUID()}`;
}

/** A plan in which the numbers are the waves of its steps. */
export function planOf(...waves: readonly number[]): readonly PlannedStep[] {
  return waves.map((wave, index) => ({ name: `Step ${index + 1}`, capability: 'coding', wave }));
}

type Fields = Partial<CreateStoryInput> & { readonly steps?: readonly PlannedStep[] };

/** A planned story: with two steps in wave 1 and one in wave 2, unless steps are given. */
export async function givenPlanned(
  stories: Stories,
  { steps = planOf(1, 1, 2), ...fields }: Fields = {},
): Promise<string> {
  const { id: storyId } = await createStory(stories, { title: 'A story', idempotencyKey: fresh('key'), ...fields });
  await beginPlanning(stories, { storyId });
  await recordPlan(stories, { storyId, steps });
  return storyId;
}

/** A story in execution. */
export async function givenStarted(stories: Stories, fields: Fields = {}): Promise<string> {
  const storyId = await givenPlanned(stories, fields);
  await startStory(stories, { storyId });
  return storyId;
}

/** Claims steps of a story, all that are ready unless a limit is given. */
export function claim(stories: Stories, storyId: string, limit = 100): Promise<readonly ClaimedStep[]> {
  return claimReadySteps(stories, { storyId, agentId: 'agent-1', limit, leaseMs: 60_000 });
}

/** Claims one step of a story. */
export async function claimOne(stories: Stories, storyId: string): Promise<ClaimedStep> {
  const [step] = await claim(stories, storyId, 1);
  if (step === undefined) throw new Error('no step is ready');
  return step;
}

/** Claims and completes every step that is ready now. */
export async function runWave(stories: Stories, storyId: string): Promise<readonly StoryStep[]> {
  const done: StoryStep[] = [];
  for (const { claimId } of await claim(stories, storyId)) {
    done.push(await completeStep(stories, { claimId, output: 'done' }));
  }
  return done;
}

/** The status of a story and its current wave, such as `Executing 1`. */
export async function placeOf(stories: Stories, storyId: string): Promise<string> {
  const { status, currentWave } = await getStory(stories, { storyId });
  return `${status} ${currentWave}`;
}

/** The statuses of the steps of a story, in their order. */
export function statusesOf({ steps }: StoryDetails): readonly string[] {
  return steps.map(({ status }) => status);
}

/** Several stores on one database, like those of several processes. */
export function givenStores(db: TestDatabase, count: number): readonly Stories[] {
  return Array.from({ length: count }, () => openStory({ url: db.url, pool: { max: 2, connectTimeoutMs: 60_000 } }));
}

/** The outcome of each call: the code of its error, or `done`. */
export async function outcomes(calls: readonly Promise<unknown>[]): Promise<readonly string[]> {
  const settled = await Promise.allSettled(calls);
  return settled.map((it) => (it.status === 'fulfilled' ? 'done' : String(it.reason.code ?? it.reason)));
}

/** An event in the outbox. */
export interface Published {
  readonly type: string;
  readonly key: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** The events about a story, oldest first. */
export async function publishedFor(db: TestDatabase, storyId: string): Promise<readonly Published[]> {
  const rows = await db.admin('SELECT type, key, payload FROM outbox WHERE key = $1 ORDER BY position', [storyId]);
  return rows as unknown as readonly Published[];
}
