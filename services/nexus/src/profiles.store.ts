import { newId } from '@azora/db-core';
import { idInput, type JsonObject, jsonObjectInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Nexus } from './client';
import { profileNotFound, readInput } from './errors';
import { localeInput, topicsInput, userInput } from './input';
import { callFor, listRows, modelOf, type Profile, type Row } from './rows';

const MAX_PREFERENCES = 16_384;

export interface SaveProfileInput {
  /** An auth.User. */
  readonly userId: string;
  /** At most 50 topics, like the tags of items; upper and lower case are the same. */
  readonly interests?: readonly string[];
  /** Sets these keys and keeps the others; null removes a key. At most 16384 bytes together. */
  readonly preferences?: JsonObject;
  /** The language of recommendations, such as en or pt-BR; en in a new profile. */
  readonly locale?: string;
  /** False: recommend only what is popular, and count this person's items for nobody else. True in a new profile. */
  readonly personalized?: boolean;
}

export interface GetProfileInput {
  readonly userId: string;
}

const saveInput = z.strictObject({
  userId: idInput,
  interests: topicsInput.optional(),
  preferences: jsonObjectInput(MAX_PREFERENCES, 'characters').optional(),
  locale: localeInput.optional(),
  personalized: z.boolean().optional(),
});
const listInput = z.strictObject(pageFields);

/**
 * Makes the profile of a person, or changes the given fields of it, and writes the names of changed fields to the audit log. Two calls
 * at once that set different fields or keys both take effect. Switching personalization off takes the items of the person out of the
 * recommendations of others at once.
 * @throws {SuiteError} `NEXUS.INVALID_INPUT`
 */
export async function saveProfile(nexus: Nexus, input: SaveProfileInput): Promise<Profile> {
  const { userId, ...changes } = readInput(saveInput, input);
  const values = [newId(), userId, JSON.stringify(changes), newId()];
  return callFor(nexus, 'SELECT * FROM save_profile($1, $2, $3, $4)', values);
}

/**
 * The profile of a person, or null.
 * @throws {SuiteError} `NEXUS.INVALID_INPUT`
 */
export async function findProfile(nexus: Nexus, input: GetProfileInput): Promise<Profile | null> {
  const { userId } = readInput(userInput, input);
  const [row] = await nexus.query<Row>({ text: 'SELECT * FROM user_profiles WHERE user_id = $1', values: [userId] });
  return row === undefined ? null : modelOf<Profile>(row);
}

/**
 * The profile of a person.
 * @throws {SuiteError} `NEXUS.INVALID_INPUT`, `NEXUS.PROFILE_NOT_FOUND`
 */
export async function getProfile(nexus: Nexus, input: GetProfileInput): Promise<Profile> {
  const profile = await findProfile(nexus, input);
  if (profile === null) throw profileNotFound({ userId: input.userId });
  return profile;
}

/**
 * A page of all profiles, newest first.
 * @throws {SuiteError} `NEXUS.INVALID_INPUT`
 */
export async function listProfiles(nexus: Nexus, input: PageInput = {}): Promise<Page<Profile>> {
  const { limit, cursor } = readInput(listInput, input);
  return listRows<Profile>(nexus, { from: 'user_profiles', where: {}, limit, cursor });
}
