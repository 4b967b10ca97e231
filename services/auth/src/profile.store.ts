import { rowIdInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';
import { lockActiveAccount } from './account/account-row';
import { displayNameInput, usernameInput } from './account/names';
import { writeAudit } from './audit/entries';
import type { Auth } from './client';
import { readInput } from './errors';
import { phoneInput } from './factor/one-time-code';
import { type Device, deviceInput } from './input';

const FIRST_BIRTH = '1900-01-01';
/** The pattern of the column: BCP 47 without extensions and private use. */
const LANGUAGE = /^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$/;
/** Codes that have a region name and are not countries. */
const NO_COUNTRIES = ['EU', 'EZ', 'QO', 'UN', 'XA', 'XB', 'ZZ'];
const REGIONS = new Intl.DisplayNames(['en'], { type: 'region', fallback: 'none' });

/** Fields that are absent stay unchanged; null removes a value. */
export interface UpdateProfileInput {
  readonly userId: string;
  /** At most 200 characters. */
  readonly name?: string;
  /** Letters of one script, digits, `.`, `_` and `-`; stored in lower case. No other user has one that looks like it. */
  readonly username?: string | null;
  /** http or https. */
  readonly avatarUrl?: string | null;
  /** At most 2000 characters. */
  readonly bio?: string | null;
  /** E.164: +27115550100. Independent of the number of the second factor. */
  readonly phone?: string | null;
  /** YYYY-MM-DD, from 1900 to yesterday. */
  readonly birthDate?: string | null;
  /** At most 100 characters. */
  readonly city?: string | null;
  /** ISO 3166-1 alpha-2. */
  readonly country?: string | null;
  /** BCP 47; stored in its canonical form. */
  readonly language?: string;
  /** A name of the IANA database, such as Africa/Johannesburg. */
  readonly timeZone?: string;
  readonly device?: Device;
}

export interface Profile {
  readonly userId: string;
  readonly name: string;
  readonly username: string | null;
  readonly avatarUrl: string | null;
  readonly bio: string | null;
  readonly phone: string | null;
  /** YYYY-MM-DD. */
  readonly birthDate: string | null;
  readonly city: string | null;
  readonly country: string | null;
  readonly language: string;
  readonly timeZone: string;
}

/** A BCP 47 language in its canonical form: en-za becomes en-ZA. */
const languageInput = z
  .string()
  .max(35)
  .transform((text, context) => {
    const language = attempt(() => Intl.getCanonicalLocales(text)[0]);
    if (language !== undefined && LANGUAGE.test(language)) return language;
    context.addIssue({ code: 'custom', message: 'is not a BCP 47 language' });
    return z.NEVER;
  });

/** The name of a time zone, in the case of the IANA database if Node knows it. An alias is kept as it is. */
const timeZoneInput = z
  .string()
  .max(64)
  .transform((text, context) => {
    const zone = /^[A-Za-z]/.test(text)
      ? attempt(() => new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone)
      : undefined;
    if (zone !== undefined) return zone.toLowerCase() === text.toLowerCase() ? zone : text;
    context.addIssue({ code: 'custom', message: 'is not a time zone of the IANA database' });
    return z.NEVER;
  });

/** An ISO 3166-1 country in two capital letters. */
const countryInput = z
  .string()
  .regex(/^[A-Z]{2}$/, 'is not two capital letters')
  .refine((code) => !NO_COUNTRIES.includes(code) && REGIONS.of(code) !== undefined, 'is not a country');

const BIRTH_DATE = 'is not a date from 1900 to yesterday';

/** A date since 1900, as YYYY-MM-DD. */
const birthDateInput = z.iso.date().refine((day) => day >= FIRST_BIRTH, BIRTH_DATE);

/** The date of birth of someone who was born before the day of `at` in UTC. */
const bornBefore = (at: Date) =>
  z.object({ birthDate: birthDateInput.refine((day) => day < at.toISOString().slice(0, 10), BIRTH_DATE).nullish() });

/** A web address. */
const urlInput = z
  .string()
  .max(2_000)
  .refine((text) => /^https?:\/\/[^\s\p{Cc}]+$/u.test(text) && URL.canParse(text), 'is not an http or https URL');

const profileInput = z
  .strictObject({
    userId: rowIdInput,
    name: displayNameInput(200).optional(),
    username: usernameInput.nullish(),
    avatarUrl: urlInput.nullish(),
    bio: textInput(2_000).nullish(),
    phone: phoneInput.nullish(),
    birthDate: birthDateInput.nullish(),
    city: displayNameInput(100).nullish(),
    country: countryInput.nullish(),
    language: languageInput.optional(),
    timeZone: timeZoneInput.optional(),
    device: deviceInput,
  })
  .refine(({ userId: _, device: __, ...fields }) => Object.values(fields).some((value) => value !== undefined), {
    message: 'has no field to change',
  });

/**
 * Changes a user's profile. Returns the whole profile.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.USERNAME_TAKEN`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`
 */
export async function updateProfile(auth: Auth, input: UpdateProfileInput): Promise<Profile> {
  const { userId, device, ...given } = readInput(profileInput, input);
  const { name, username, avatarUrl, birthDate, ...changes } = given;
  const born = typeof birthDate === 'string' ? new Date(birthDate) : birthDate;
  return auth.transaction(async (tx) => {
    const { at } = await lockActiveAccount(tx, userId);
    readInput(bornBefore(at), { birthDate });
    const user = await tx.user.update({
      where: { id: userId },
      data: { ...present({ name, username, avatarUrl }), updatedAt: at },
      select: { name: true, username: true, avatarUrl: true },
    });
    const data = { ...present({ ...changes, birthDate: born }), updatedAt: at };
    const profile = await tx.userProfile.upsert({
      where: { userId },
      create: { userId, createdAt: at, ...data },
      update: data,
      select: { bio: true, phone: true, birthDate: true, city: true, country: true, language: true, timeZone: true },
    });
    await writeAudit(tx, {
      userId,
      action: 'PROFILE_UPDATED',
      resourceType: 'user',
      resourceId: userId,
      details: { fields: Object.keys(present(given)).sort() },
      device,
    });
    return { userId, ...user, ...profile, birthDate: profile.birthDate?.toISOString().slice(0, 10) ?? null };
  });
}

type Present<Fields> = { [Field in keyof Fields]?: Exclude<Fields[Field], undefined> };

/** Removes the fields that are undefined. */
function present<Fields extends object>(fields: Fields): Present<Fields> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<Fields>;
}

function attempt<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
