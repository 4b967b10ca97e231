import { idInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';
import { writeAudit } from './audit';
import type { Auth } from './client';
import { readInput } from './errors';
import { type Device, deviceInput } from './input';
import { lockActiveAccount } from './locked-account';
import { phoneInput } from './one-time-code';
import { birthDateInput, countryInput, languageInput, timeZoneInput, urlInput } from './profile-fields';

/** What is given is changed and nothing else; null takes a value away. */
export interface UpdateProfileInput {
  readonly userId: string;
  /** At most 200 characters. */
  readonly name?: string;
  /** At most 255 characters; nobody else has it, in whatever case of letters. */
  readonly username?: string | null;
  /** http or https. */
  readonly avatarUrl?: string | null;
  /** At most 2000 characters. */
  readonly bio?: string | null;
  /** E.164: +27115550100. It is not the number of the second factor. */
  readonly phone?: string | null;
  /** YYYY-MM-DD, from 1900 to yesterday. */
  readonly birthDate?: string | null;
  /** At most 100 characters. */
  readonly city?: string | null;
  /** ISO 3166-1 alpha-2. */
  readonly country?: string | null;
  /** BCP 47; kept in its canonical spelling. */
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

const profileInput = (today: string) =>
  z
    .strictObject({
      userId: idInput,
      name: textInput(200).optional(),
      username: textInput(255)
        .refine((text) => text === text.trim(), 'has blanks around it')
        .nullish(),
      avatarUrl: urlInput.nullish(),
      bio: textInput(2_000).nullish(),
      phone: phoneInput.nullish(),
      birthDate: birthDateInput(today).nullish(),
      city: textInput(100).nullish(),
      country: countryInput.nullish(),
      language: languageInput.optional(),
      timeZone: timeZoneInput.optional(),
      device: deviceInput,
    })
    .refine(({ userId: _, device: __, ...fields }) => Object.values(fields).some((value) => value !== undefined), {
      message: 'has nothing to change',
    });

/**
 * Changes what a user tells about themselves; returns all of it.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.USERNAME_TAKEN`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`
 */
export async function updateProfile(auth: Auth, input: UpdateProfileInput): Promise<Profile> {
  const at = auth.clock();
  const { userId, device, ...given } = readInput(profileInput(at.toISOString().slice(0, 10)), input);
  const { name, username, avatarUrl, birthDate, ...told } = given;
  const born = typeof birthDate === 'string' ? new Date(birthDate) : birthDate;
  return auth.transaction(async (tx) => {
    await lockActiveAccount(tx, userId);
    const user = await tx.user.update({
      where: { id: userId },
      data: { ...present({ name, username, avatarUrl }), updatedAt: at },
      select: { name: true, username: true, avatarUrl: true },
    });
    const data = { ...present({ ...told, birthDate: born }), updatedAt: at };
    const profile = await tx.userProfile.upsert({
      where: { userId },
      create: { userId, createdAt: at, ...data },
      update: data,
      select: { bio: true, phone: true, birthDate: true, city: true, country: true, language: true, timeZone: true },
    });
    await writeAudit(tx, {
      userId,
      at,
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

/** Without the fields that are undefined. */
function present<Fields extends object>(fields: Fields): Present<Fields> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<Fields>;
}
