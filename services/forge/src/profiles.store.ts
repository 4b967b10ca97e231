import { type MoneyInput, newId } from '@azora/db-core';
import { amountInput, idInput } from '@azora/db-core/input';
import {
  type Cursor,
  microsOf,
  type Page,
  type PageInput,
  pageFields,
  pageOf,
  timeOfMicros,
} from '@azora/db-core/paging';
import { z } from 'zod';
import type { Forge } from './client';
import { readInput } from './errors';
import type { Currency } from './generated/client';
import { currencyInput, longText, skillsInput, titleText } from './input';
import { callFor, modelOf, type Row, type SkillProfile } from './rows';

export interface SaveSkillProfileInput {
  /** An auth.User. */
  readonly userId: string;
  readonly headline?: string;
  readonly bio?: string;
  readonly skills: readonly string[];
  readonly hourlyRate?: MoneyInput;
  /** AZR when absent. */
  readonly currency?: Currency;
  /** True when absent. */
  readonly isAvailable?: boolean;
}

export interface FindSkillProfileInput {
  readonly userId: string;
}

export interface ListSkillProfilesInput extends PageInput {
  /** Profiles with all of these skills. */
  readonly skills?: readonly string[];
}

const saveInput = z.strictObject({
  userId: idInput,
  headline: titleText.optional(),
  bio: longText.optional(),
  skills: skillsInput,
  hourlyRate: amountInput.optional(),
  currency: currencyInput.default('AZR'),
  isAvailable: z.boolean().default(true),
});
const findInput = z.strictObject({ userId: idInput });
const listInput = z.strictObject({ skills: skillsInput.default([]), ...pageFields });

/**
 * Makes the skill profile of a person, or replaces what the person says in it. The rating, the completed jobs and the earnings follow
 * from contracts; earnings count in the currency of the profile.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`, `MONEY.*`
 */
export async function saveSkillProfile(forge: Forge, input: SaveSkillProfileInput): Promise<SkillProfile> {
  const body = readInput(saveInput, input);
  return callFor(forge, 'SELECT * FROM save_skill_profile($1, $2)', [newId(), JSON.stringify(body)]);
}

/**
 * The skill profile of a person, or null.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`
 */
export async function findSkillProfile(forge: Forge, input: FindSkillProfileInput): Promise<SkillProfile | null> {
  const { userId } = readInput(findInput, input);
  const [row] = await forge.query<Row>({ text: 'SELECT * FROM skill_profiles WHERE user_id = $1', values: [userId] });
  return row === undefined ? null : modelOf<SkillProfile>(row);
}

const LIST = `SELECT *, ${microsOf('created_at')} AS micros FROM skill_profiles
  WHERE is_available AND skills @> $1::text[] AND ($2::bigint IS NULL OR (created_at, id) < (${timeOfMicros('$2')}, $3))
  ORDER BY created_at DESC, id DESC LIMIT $4`;

/**
 * A page of the profiles of people who are available and have the skills, newest first.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`
 */
export async function listSkillProfiles(forge: Forge, input: ListSkillProfilesInput = {}): Promise<Page<SkillProfile>> {
  const { skills, limit, cursor } = readInput(listInput, input);
  const found = await forge.query<Row & Cursor>({
    text: LIST,
    values: [skills, cursor?.micros ?? null, cursor?.id ?? null, limit + 1],
  });
  const { rows, nextCursor } = pageOf(found, limit);
  return { items: rows.map((row) => modelOf<SkillProfile>(row)), nextCursor };
}
