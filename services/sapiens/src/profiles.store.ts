import { idInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Sapiens } from './client';
import { readInput } from './errors';
import { $Enums, type LearningStyle, type SkillLevel } from './generated/client';
import { longTextInput, shortTextInput, studentInput } from './input';
import { callFunction, findRow, listRows, type StudentProfile } from './rows';

export interface SaveProfileInput {
  /** An auth.User. */
  readonly studentId: string;
  readonly learningStyle?: LearningStyle | null;
  /** BCP 47. */
  readonly preferredLanguage?: string;
  readonly goals?: string | null;
  readonly interests?: readonly string[];
}

export interface FindProfileInput {
  readonly studentId: string;
}

export interface ListProfilesInput extends PageInput {
  readonly level?: SkillLevel;
}

const saveInput = z.strictObject({
  studentId: idInput,
  learningStyle: z.enum($Enums.LearningStyle).nullable().optional(),
  preferredLanguage: z
    .string()
    .max(35)
    .regex(/^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$/, 'is not a language tag')
    .optional(),
  goals: longTextInput.nullable().optional(),
  interests: z.array(shortTextInput).max(50).optional(),
});
const listInput = z.strictObject({ level: z.enum($Enums.SkillLevel).optional(), ...pageFields });

/**
 * Saves what the student says: an absent field stays as it is, and null clears it. Level, ability, mastery, strengths and weaknesses are
 * not set by anyone: they follow from insights, attempts and completed assessments.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`
 */
export async function saveProfile(sapiens: Sapiens, input: SaveProfileInput): Promise<StudentProfile> {
  const { studentId, ...patch } = readInput(saveInput, input);
  return callFunction(sapiens, 'save_profile', [studentId, patch]);
}

/**
 * The profile of a student, or null when nothing has happened yet.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`
 */
export async function findProfile(sapiens: Sapiens, input: FindProfileInput): Promise<StudentProfile | null> {
  const { studentId } = readInput(studentInput, input);
  return (await findRow<StudentProfile>(sapiens, 'student_profiles', 'student_id', studentId)) ?? null;
}

/**
 * A page of profiles, newest first.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`
 */
export async function listProfiles(sapiens: Sapiens, input: ListProfilesInput = {}): Promise<Page<StudentProfile>> {
  const { level, ...page } = readInput(listInput, input);
  return listRows(sapiens, 'student_profiles', [['level = ?', level]], page);
}
