import { z } from 'zod';

const FIRST_BIRTH = '1900-01-01';
/** What the column takes: BCP 47 without extensions and private use. */
const LANGUAGE = /^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$/;
/** What has a name among the regions and is none. */
const NO_COUNTRIES = ['EU', 'EZ', 'QO', 'UN', 'XA', 'XB', 'ZZ'];
const REGIONS = new Intl.DisplayNames(['en'], { type: 'region', fallback: 'none' });

/** A language of BCP 47 in its canonical spelling: en-za is en-ZA. */
export const languageInput = z
  .string()
  .max(35)
  .transform((text, context) => {
    const language = attempt(() => Intl.getCanonicalLocales(text)[0]);
    if (language !== undefined && LANGUAGE.test(language)) return language;
    context.addIssue({ code: 'custom', message: 'is no language of BCP 47' });
    return z.NEVER;
  });

/** A time zone by name. Its letters are those of the IANA database where Node knows them; an alias stays what it is. */
export const timeZoneInput = z
  .string()
  .max(64)
  .transform((text, context) => {
    const zone = /^[A-Za-z]/.test(text)
      ? attempt(() => new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone)
      : undefined;
    if (zone !== undefined) return zone.toLowerCase() === text.toLowerCase() ? zone : text;
    context.addIssue({ code: 'custom', message: 'is no time zone of the IANA database' });
    return z.NEVER;
  });

/** A country of ISO 3166-1 in two capital letters. */
export const countryInput = z
  .string()
  .regex(/^[A-Z]{2}$/, 'is not two capital letters')
  .refine((code) => !NO_COUNTRIES.includes(code) && REGIONS.of(code) !== undefined, 'is no country');

/** A day before today, as YYYY-MM-DD. */
export const birthDateInput = (today: string) =>
  z.iso.date().refine((day) => day >= FIRST_BIRTH && day < today, 'is not a day from 1900 to yesterday');

/** An address on the web. */
export const urlInput = z
  .string()
  .max(2_000)
  .refine((text) => /^https?:\/\/[^\s\p{Cc}]+$/u.test(text) && URL.canParse(text), 'is no http or https URL');

function attempt<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
