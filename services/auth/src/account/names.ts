import { textInput } from '@azora/db-core/input';
import { z } from 'zod';

const MAX_USERNAME = 255;
/** Half-width and full-width forms, which the width mapping of RFC 8265 replaces by ordinary characters. */
const WIDTH_FORMS = /[\uff01-\uffef]/g;
/** The letters, marks and digits of the IdentifierClass (RFC 8264, 9.1). `.`, `_` and `-` are the only other characters. */
const USERNAME = /^[\p{Ll}\p{Lo}\p{Lm}\p{Nd}][\p{Ll}\p{Lo}\p{Lm}\p{Mn}\p{Mc}\p{Nd}._-]*$/u;
/** The letters and marks that RFC 5892 (2.6) disallows, old Hangul jamo (RFC 8264, 9.9) and what has no visible form. */
const DISALLOWED =
  /[\u0640\u07fa\u302e\u302f\u3031-\u3035\u303b\u1100-\u11ff\ua960-\ua97c\ud7b0-\ud7fb\p{Default_Ignorable_Code_Point}]/u;
/** The recommended scripts (UAX #31, table 5). */
const SCRIPTS = (
  'Arab Armn Beng Cyrl Deva Ethi Geor Grek Gujr Guru Hebr Khmr Knda Laoo Latn Mlym Mymr Orya Sinh Taml Telu Thaa Thai ' +
  'Tibt Hani+Hira+Kana+Latn Hani+Bopo+Latn Hani+Hang+Latn'
).split(' ');
/** The text of one script, or of Latin with one of the East Asian sets: "highly restrictive" (UTS #39, 5.2). */
const SINGLE_SCRIPT = new RegExp(SCRIPTS.map((set) => `^[${scriptsOf(set)}]+$`).join('|'), 'u');
const RIGHT_TO_LEFT = /[\p{Script=Arab}\p{Script=Hebr}\p{Script=Thaa}]/u;
/** RFC 5893, section 2, for the characters that a username has. */
const RIGHT_TO_LEFT_NAME = /^\p{L}.*[\p{L}\p{Nd}]\p{M}*$/u;
const ARABIC_INDIC = /[\u0660-\u0669]/;
const OTHER_DIGITS = /[0-9\u06f0-\u06f9]/;
/** What a name on one line cannot contain. Emoji and several scripts need joiners and variation selectors. */
const HIDDEN =
  /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]|(?!\u200c|\u200d|[\ufe00-\ufe0f]|[\u{e0100}-\u{e01ef}])\p{Default_Ignorable_Code_Point}/u;
const VISIBLE = /(?!\u2800)[\p{L}\p{N}\p{P}\p{S}]/u;

/**
 * The canonical form of a username, or the reason why the text is not one. The form follows the PRECIS profile
 * UsernameCaseMapped (RFC 8265, section 3.3): full-width characters become ordinary ones, letters become lower case, and
 * the result is in NFC. A username begins with a letter or a digit, contains no punctuation except `.`, `_` and `-`, so it
 * is never an address, and has letters of one script. The database rejects one that looks like another (UTS #39).
 */
export function canonicalUsername(text: string): { readonly username: string } | { readonly problem: string } {
  const username = text
    .replaceAll(WIDTH_FORMS, (form) => form.normalize('NFKC'))
    .toLowerCase()
    .normalize('NFC');
  if (username.length > MAX_USERNAME) return { problem: `has more than ${MAX_USERNAME} characters` };
  if (!USERNAME.test(username) || DISALLOWED.test(username) || username.normalize('NFKC') !== username)
    return { problem: 'contains characters other than letters, digits, ".", "_" and "-"' };
  if (!SINGLE_SCRIPT.test(username)) return { problem: 'mixes letters of several scripts' };
  const isLeftToRight = !RIGHT_TO_LEFT.test(username);
  if (!isLeftToRight && !RIGHT_TO_LEFT_NAME.test(username)) return { problem: 'mixes directions of writing' };
  if (ARABIC_INDIC.test(username) && OTHER_DIGITS.test(username)) return { problem: 'mixes several kinds of digits' };
  return { username };
}

/** A username, parsed into its canonical form. */
export const usernameInput: z.ZodType<string> = textInput(MAX_USERNAME).transform((text, context) => {
  const parsed = canonicalUsername(text);
  if ('username' in parsed) return parsed.username;
  context.addIssue({ code: 'custom', message: parsed.problem });
  return z.NEVER;
});

/**
 * A name for display, in NFC and without surrounding spaces. It is on one line, visible, and contains no characters that
 * hide or reorder others.
 */
export function displayNameInput(max: number): z.ZodType<string> {
  return (
    textInput(max)
      .transform((text) => text.normalize('NFC').trim())
      // Some characters become longer in NFC.
      .refine((text) => [...text].length <= max, `has more than ${max} characters`)
      .refine((text) => !HIDDEN.test(text), 'contains a control character, or one that hides or reorders others')
      .refine((text) => VISIBLE.test(text), 'has no visible character')
  );
}

function scriptsOf(set: string): string {
  return ['Zyyy', 'Zinh', ...set.split('+')].map((script) => `\\p{scx=${script}}`).join('');
}
