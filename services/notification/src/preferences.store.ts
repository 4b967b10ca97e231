import { idInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Notifications } from './client';
import { readInput } from './errors';
import type { DeliveryMode } from './generated/client';
import { channelInput, sourceInput, userInput } from './input';
import type { UserInput } from './notifications.store';
import type { SentChannel } from './notify.store';
import { onlyRow, type Preference, type Row } from './rows';

export interface SetPreferenceInput extends UserInput {
  /** The service that sends; all services without a choice of their own when absent. */
  readonly source?: string;
  /** `in_app`: whether the app shows it. */
  readonly channel: 'in_app' | SentChannel;
  /** `instant`, `off`, or, beyond the app, `digest`: together with others, once a day. */
  readonly mode: DeliveryMode;
}

export interface SetDeliverySettingsInput extends UserInput {
  /** A name of the time zone database, such as `Africa/Johannesburg`. */
  readonly timeZone: string;
  /** Times of the day such as `22:00` and `07:00`, between which only urgent notifications leave; null for none. */
  readonly quietHours: { readonly from: string; readonly until: string } | null;
  /** The time of the day of the digest; 08:00 when absent. */
  readonly digestAt?: string;
}

export interface DeliverySettings {
  readonly userId: string;
  readonly timeZone: string;
  readonly quietHours: { readonly from: string; readonly until: string } | null;
  readonly digestAt: string;
}

/** What holds for a user who has chosen nothing. */
export const DEFAULT_DELIVERY_SETTINGS = { timeZone: 'UTC', quietHours: null, digestAt: '08:00' } as const;

const timeOfDayInput = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'is not a time of the day such as 22:00');
const preferenceInput = z
  .strictObject({
    userId: idInput,
    source: sourceInput.optional(),
    channel: z.enum(['in_app', ...channelInput.options]),
    mode: z.enum(['instant', 'digest', 'off']),
  })
  .refine(({ channel, mode }) => channel !== 'in_app' || mode !== 'digest', {
    message: 'is not a mode of the app',
    path: ['mode'],
  });
const settingsInput = z.strictObject({
  userId: idInput,
  timeZone: textInput(64),
  quietHours: z
    .strictObject({ from: timeOfDayInput, until: timeOfDayInput })
    .refine(({ from, until }) => from !== until, 'begin and end at the same time')
    .nullable(),
  digestAt: timeOfDayInput.default(DEFAULT_DELIVERY_SETTINGS.digestAt),
});

const SET = `
  INSERT INTO preferences AS p (user_id, source, channel, mode) VALUES ($1, $2, $3, $4)
  ON CONFLICT (user_id, source, channel) DO UPDATE SET mode = excluded.mode, updated_at = excluded.updated_at
  RETURNING *`;

/**
 * Chooses how a user gets the notifications of a source on a channel. It holds for deliveries that wait too.
 * @throws {SuiteError} `NOTIFICATION.INVALID_INPUT`
 */
export async function setPreference(notifications: Notifications, input: SetPreferenceInput): Promise<Preference> {
  const { userId, source = '*', channel, mode } = readInput(preferenceInput, input);
  const rows = await notifications.query<Row<Preference>>({ text: SET, values: [userId, source, channel, mode] });
  return preferenceOf(onlyRow(rows));
}

/**
 * All choices of a user; `instant` holds for what is not listed.
 * @throws {SuiteError} `NOTIFICATION.INVALID_INPUT`
 */
export async function listPreferences(notifications: Notifications, input: UserInput): Promise<readonly Preference[]> {
  const { userId } = readInput(userInput, input);
  const rows = await notifications.query<Row<Preference>>({
    text: 'SELECT * FROM preferences WHERE user_id = $1 ORDER BY source COLLATE "C", channel',
    values: [userId],
  });
  return rows.map(preferenceOf);
}

const SET_SETTINGS = `
  INSERT INTO delivery_settings AS s (user_id, time_zone, quiet_from, quiet_until, digest_at) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (user_id) DO UPDATE SET time_zone = excluded.time_zone, quiet_from = excluded.quiet_from,
    quiet_until = excluded.quiet_until, digest_at = excluded.digest_at, updated_at = excluded.updated_at`;

/**
 * Sets the time zone, the quiet hours and the hour of the digest of a user. Quiet hours hold for deliveries that wait too.
 * @throws {SuiteError} `NOTIFICATION.INVALID_INPUT`: PostgreSQL does not know the time zone, among others
 */
export async function setDeliverySettings(
  notifications: Notifications,
  input: SetDeliverySettingsInput,
): Promise<DeliverySettings> {
  const settings = readInput(settingsInput, input);
  const { userId, timeZone, quietHours, digestAt } = settings;
  await notifications.query({
    text: SET_SETTINGS,
    values: [userId, timeZone, quietHours?.from ?? null, quietHours?.until ?? null, digestAt],
  });
  return settings;
}

const GET_SETTINGS = `SELECT time_zone, to_char(quiet_from, 'HH24:MI') AS quiet_from, to_char(quiet_until, 'HH24:MI') AS quiet_until,
  to_char(digest_at, 'HH24:MI') AS digest_at FROM delivery_settings WHERE user_id = $1`;

/**
 * The settings of a user, or {@link DEFAULT_DELIVERY_SETTINGS}.
 * @throws {SuiteError} `NOTIFICATION.INVALID_INPUT`
 */
export async function getDeliverySettings(notifications: Notifications, input: UserInput): Promise<DeliverySettings> {
  const { userId } = readInput(userInput, input);
  const [row] = await notifications.query<{
    readonly time_zone: string;
    readonly quiet_from: string | null;
    readonly quiet_until: string | null;
    readonly digest_at: string;
  }>({ text: GET_SETTINGS, values: [userId] });
  if (row === undefined) return { userId, ...DEFAULT_DELIVERY_SETTINGS };
  const { time_zone: timeZone, quiet_from: from, quiet_until: until, digest_at: digestAt } = row;
  return { userId, timeZone, quietHours: from === null || until === null ? null : { from, until }, digestAt };
}

function preferenceOf(row: Row<Preference>): Preference {
  return {
    userId: row.user_id,
    source: row.source,
    channel: row.channel,
    mode: row.mode,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
