import { randomUUID } from 'node:crypto';
import type { TestDatabase } from '@azora/db-testkit';
import {
  type AddItemInput,
  addCard,
  addItem,
  type Card,
  type CreatePathInput,
  createPath,
  createSkill,
  listSteps,
  openSapiens,
  type Sapiens,
  type Skill,
  startSession,
} from '../src';

export const MINUTE_MS = 60_000;
export const DAY_MS = 86_400_000;

export function fresh(name: string): string {
  return `${name}-${randomUUID()}`;
}

export async function givenSession(sapiens: Sapiens, studentId = fresh('student')) {
  return startSession(sapiens, { studentId, topic: 'Loops', idempotencyKey: fresh('key') });
}

/** A path of three lessons, where each lesson needs the one before, with the ids of its steps. */
export async function givenPath(sapiens: Sapiens, fields: Partial<CreatePathInput> = {}) {
  const path = await createPath(sapiens, {
    studentId: fresh('student'),
    title: 'Python',
    subject: 'Programming',
    startLevel: 'beginner',
    targetLevel: 'advanced',
    estimatedHours: 10,
    steps: [
      { title: 'Variables', estimatedMinutes: 10 },
      { title: 'Loops', estimatedMinutes: 20, needs: [1] },
      { title: 'Functions', estimatedMinutes: 30, needs: [1, 2] },
    ],
    idempotencyKey: fresh('key'),
    ...fields,
  });
  const steps = await listSteps(sapiens, { pathId: path.id });
  return { path, stepIds: steps.map(({ id }) => id) };
}

/** The published estimates for LSAT7 (mirt, `?LSAT7`): slopes and intercepts of the two-parameter logistic model. */
export const LSAT7 = {
  a: [0.988, 1.081, 1.706, 0.7651, 0.7358],
  d: [1.8561, 0.808, 1.8043, 0.486, 1.8545],
} as const;

/** A skill of a topic of its own, with a bank; each item has the options no and yes, and yes is correct. */
export async function givenBank(
  sapiens: Sapiens,
  parameters: readonly Pick<AddItemInput, 'discrimination' | 'location' | 'intercept'>[],
  skillFields: Partial<Parameters<typeof createSkill>[1]> = {},
): Promise<{ readonly skill: Skill; readonly topic: string; readonly itemIds: readonly string[] }> {
  const slug = fresh('skill');
  const skill = await createSkill(sapiens, { slug, name: 'Skill', topic: slug, ...skillFields });
  const itemIds: string[] = [];
  for (const [n, given] of parameters.entries()) {
    const item = await addItem(sapiens, {
      skillId: skill.id,
      prompt: `Item ${n + 1}`,
      options: ['no', 'yes'],
      correctOption: 1,
      idempotencyKey: fresh('key'),
      ...given,
    });
    itemIds.push(item.id);
  }
  return { skill, topic: skill.topic, itemIds };
}

export async function givenCard(sapiens: Sapiens, studentId = fresh('student')): Promise<Card> {
  return addCard(sapiens, { studentId, front: 'while', back: 'A loop', idempotencyKey: fresh('key') });
}

/** Several stores on one database, like those of several processes. */
export function givenStores(db: TestDatabase, count: number): readonly Sapiens[] {
  return Array.from({ length: count }, () => openSapiens({ url: db.url, pool: { max: 4, connectTimeoutMs: 60_000 } }));
}

/** The outcome of each call: the code of its error, or `done`. */
export async function outcomes(calls: readonly Promise<unknown>[]): Promise<readonly string[]> {
  const settled = await Promise.allSettled(calls);
  return settled.map((it) => (it.status === 'fulfilled' ? 'done' : String(it.reason.code ?? it.reason)));
}

export interface Published {
  readonly type: string;
  readonly key: string;
  readonly payload: Record<string, unknown>;
}

/** The events in the outbox, oldest first. */
export async function published(db: TestDatabase, after = 0): Promise<readonly Published[]> {
  const rows = await db.admin('SELECT type, key, payload FROM outbox ORDER BY position OFFSET $1', [after]);
  return rows as unknown as readonly Published[];
}
