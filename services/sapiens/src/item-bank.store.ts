import { newId, requestHash } from '@azora/db-core';
import { idInput, textInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Sapiens } from './client';
import { readInput, skillNotFound } from './errors';
import { $Enums, type ItemStatus } from './generated/client';
import { keyInput, longTextInput, shareInput, shortTextInput } from './input';
import { callFunction, findRow, type Item, listRows, type Skill } from './rows';

export interface CreateSkillInput {
  /** Small letters, digits and hyphens. */
  readonly slug: string;
  readonly name: string;
  /** Assessments ask the items of the skills of a topic; its case does not matter. */
  readonly topic: string;
  /** The probability that a new student has the skill; 0.3 when absent. */
  readonly prior?: number;
  /** The probability to learn the skill by an attempt; 0.1 when absent. */
  readonly learn?: number;
  /** The probability of a correct answer without the skill; 0.2 when absent. */
  readonly guess?: number;
  /** The probability of a wrong answer with the skill; 0.1 when absent. `guess` and `slip` are below 1 together. */
  readonly slip?: number;
}

export interface FindSkillInput {
  readonly slug: string;
}

export interface GetSkillInput {
  readonly skillId: string;
}

export interface ListSkillsInput extends PageInput {
  readonly topic?: string;
}

export interface AddItemInput {
  readonly skillId: string;
  readonly prompt: string;
  /** 2 to 10 different options. */
  readonly options: readonly string[];
  /** Index into the options, from 0. */
  readonly correctOption: number;
  /** The parameter a of the two-parameter logistic model, above 0 and at most 4. */
  readonly discrimination: number;
  /** The parameter b, from -6 to 6: the ability at which half of the answers are correct. Give b or d. */
  readonly location?: number;
  /** The parameter d of the slope-intercept form a θ + d, which is -a b. */
  readonly intercept?: number;
  readonly idempotencyKey: string;
}

export interface RetireItemInput {
  readonly itemId: string;
}

export interface ListItemsInput extends PageInput {
  readonly skillId?: string;
  readonly status?: ItemStatus;
}

const MAX_LOCATION = 6;

const slug = z
  .string()
  .max(100)
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'is not a slug');
const skillFields = z
  .strictObject({
    slug,
    name: shortTextInput,
    topic: shortTextInput,
    prior: shareInput.optional(),
    learn: shareInput.optional(),
    guess: shareInput.optional(),
    slip: shareInput.optional(),
  })
  .refine(({ guess = 0.2, slip = 0.1 }) => guess + slip < 1, { path: ['guess'], message: 'is 1 or more with slip' });
const itemFields = z
  .strictObject({
    skillId: idInput,
    prompt: longTextInput,
    options: z
      .array(textInput(2_000))
      .min(2)
      .max(10)
      .refine((options) => new Set(options).size === options.length, 'has equal options'),
    correctOption: z.int().min(0),
    discrimination: z.number().gt(0).max(4),
    location: z.number().min(-MAX_LOCATION).max(MAX_LOCATION).optional(),
    intercept: z.number().optional(),
    idempotencyKey: keyInput,
  })
  .refine(({ options, correctOption }) => correctOption < options.length, {
    path: ['correctOption'],
    message: 'is not an index into the options',
  })
  .refine(({ location, intercept }) => (location === undefined) !== (intercept === undefined), {
    path: ['location'],
    message: 'is needed, or intercept, but not both',
  })
  .refine(
    ({ discrimination, intercept }) => intercept === undefined || Math.abs(intercept / discrimination) <= MAX_LOCATION,
    { path: ['intercept'], message: `gives a location beyond ±${MAX_LOCATION}` },
  );
const findInput = z.strictObject({ slug });
const getInput = z.strictObject({ skillId: idInput });
const listInput = z.strictObject({ topic: shortTextInput.optional(), ...pageFields });
const retireInput = z.strictObject({ itemId: idInput });
const listItemsInput = z.strictObject({
  skillId: idInput.optional(),
  status: z.enum($Enums.ItemStatus).optional(),
  ...pageFields,
});

/**
 * Makes a skill. Its parameters do not change, because the mastery of students was computed with them.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.SKILL_EXISTS`
 */
export async function createSkill(sapiens: Sapiens, input: CreateSkillInput): Promise<Skill> {
  const { slug: name, ...fields } = readInput(skillFields, input);
  return callFunction(sapiens, 'create_skill', [newId(), name, fields]);
}

/**
 * A skill by id.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.SKILL_NOT_FOUND`
 */
export async function getSkill(sapiens: Sapiens, input: GetSkillInput): Promise<Skill> {
  const { skillId } = readInput(getInput, input);
  const skill = await findRow<Skill>(sapiens, 'skills', 'id', skillId);
  if (skill === undefined) throw skillNotFound({ skillId });
  return skill;
}

/**
 * The skill with a slug, or null.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`
 */
export async function findSkill(sapiens: Sapiens, input: FindSkillInput): Promise<Skill | null> {
  return (await findRow<Skill>(sapiens, 'skills', 'slug', readInput(findInput, input).slug)) ?? null;
}

/**
 * A page of skills, newest first.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`
 */
export async function listSkills(sapiens: Sapiens, input: ListSkillsInput = {}): Promise<Page<Skill>> {
  const { topic, ...page } = readInput(listInput, input);
  return listRows(sapiens, 'skills', [['lower(topic) = lower(?)', topic]], page);
}

/**
 * Adds an item to the bank, once per key. Its content and parameters do not change: a corrected item is a new one.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.KEY_REUSED`, `SAPIENS.SKILL_NOT_FOUND`
 */
export async function addItem(sapiens: Sapiens, input: AddItemInput): Promise<Item> {
  const { idempotencyKey, ...body } = readInput(itemFields, input);
  const { skillId, prompt, options, correctOption, discrimination, intercept = 0 } = body;
  const location = body.location ?? -intercept / discrimination;
  const request = [idempotencyKey, requestHash(body), newId(), skillId, prompt, options, correctOption];
  return callFunction(sapiens, 'add_item', [...request, discrimination, location]);
}

/**
 * Takes an item out of the bank: no assessment asks it any more. A retired item stays as it is.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.ITEM_NOT_FOUND`
 */
export async function retireItem(sapiens: Sapiens, input: RetireItemInput): Promise<Item> {
  return callFunction(sapiens, 'retire_item', [readInput(retireInput, input).itemId]);
}

/**
 * A page of the items of the bank, newest first.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`
 */
export async function listItems(sapiens: Sapiens, input: ListItemsInput = {}): Promise<Page<Item>> {
  const { skillId, status, ...page } = readInput(listItemsInput, input);
  return listRows(
    sapiens,
    'items',
    [
      ['skill_id = ?', skillId],
      ['status = ?', status],
    ],
    page,
  );
}
