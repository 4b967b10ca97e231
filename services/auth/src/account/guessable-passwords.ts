import { passwordRefused } from '../errors';

/** The texts that an attacker tries first for this account. */
export interface PasswordOwner {
  readonly email?: string | undefined;
  readonly name?: string | null | undefined;
  readonly username?: string | null | undefined;
}

const MIN_CHARACTERS = 8;
/** A shorter part of a name is also part of many other words. */
const MIN_CONTEXT_WORD = 3;
/** The most digits and symbols around a common password that make it hardly harder to guess, such as 2026! or 123456. */
const MAX_AFFIX = 6;
/** The words of this service. The words of the account are added to them. */
const SERVICE_WORDS = ['azora', 'azoraauth', 'azoraworld'];
/** Letters that are usually replaced by these characters. 1 and ! replace i or l. */
const REPLACED = new Map([...'0o,3e,4a,5s,7t,8b,@a,$s,€e'.split(',')].map(([from = '', to = '']) => [from, to]));

/**
 * Rejects a password that is common, that follows a simple pattern, or that consists of words about its owner or the
 * service and a few other characters (NIST SP 800-63B-4, 3.1.1.2). Loads the list of common passwords at its first call.
 * @throws {SuiteError} `AUTH.PASSWORD_REFUSED`
 */
export async function refuseGuessablePassword(password: string, owner: PasswordOwner): Promise<void> {
  const lower = password.toLowerCase();
  if (/^(.{1,5})\1+$/su.test(lower)) throw passwordRefused('repeats a few characters');
  if (SEQUENCES.some((sequence) => sequence.includes(lower))) throw passwordRefused('is a sequence of characters');
  const common = await loadCommonPasswords();
  const spellings = [lower, plainLetters(lower, 'l'), plainLetters(lower, 'i')];
  if (spellings.some((spelling) => isCommon(common, spelling)))
    throw passwordRefused('is one of the most common passwords, or adds a few characters to one');
  const words = contextWords(owner);
  if (spellings.some((spelling) => isContext(common, spelling, words)))
    throw passwordRefused("consists of its owner's name or address, or of the name of the service");
}

let loaded: Promise<ReadonlySet<string>> | undefined;

/** The list of the field, which zxcvbn uses too. Only a new password needs it, so a sign-in does not load it. */
function loadCommonPasswords(): Promise<ReadonlySet<string>> {
  loaded ??= import('@zxcvbn-ts/language-common').then(
    ({ dictionary }) => new Set([...dictionary['passwords-common'], ...FURTHER_PASSWORDS]),
  );
  return loaded;
}

function isCommon(common: ReadonlySet<string>, password: string): boolean {
  if (common.has(password)) return true;
  const core = password.replaceAll(/^[^\p{L}]+|[^\p{L}]+$/gu, '');
  return common.has(core) && [...password].length - [...core].length <= MAX_AFFIX;
}

/** Whether too little remains without the words of the account and of the service. */
function isContext(common: ReadonlySet<string>, password: string, words: readonly string[]): boolean {
  const rest = words.reduce((text, word) => text.replaceAll(word, ''), password);
  return rest !== password && ([...rest].length < MIN_CHARACTERS || isCommon(common, rest));
}

/** The words of the account and of the service, longest first, so that no part of a word remains. */
function contextWords({ email, name, username }: PasswordOwner): readonly string[] {
  const texts = [email, email?.split('@')[0], name, username].flatMap((text) => (text ? [text.toLowerCase()] : []));
  const words = texts.flatMap((text) => [text, ...text.split(/[^\p{L}\p{M}\p{N}]+/u)]);
  return [...new Set([...words, ...SERVICE_WORDS])]
    .filter((word) => [...word].length >= MIN_CONTEXT_WORD)
    .sort((one, other) => other.length - one.length);
}

function plainLetters(text: string, one: 'i' | 'l'): string {
  return [...text].map((character) => REPLACED.get(character) ?? ('1!'.includes(character) ? one : character)).join('');
}

/** Rows of keyboards (English, German and French), the digits and the alphabet. */
const ROWS =
  '01234567890123456789 !@#$%^&*() abcdefghijklmnopqrstuvwxyz qwertyuiop qwertzuiop azertyuiop asdfghjkl zxcvbnm'.split(
    ' ',
  );
const SEQUENCES = ROWS.flatMap((row) => [row, [...row].reverse().join('')]);

/**
 * Passwords at the top of public lists of leaked passwords that the list of zxcvbn lacks, because zxcvbn knows them by
 * a pattern or from the dictionary of a language.
 */
const FURTHER_PASSWORDS = (
  '!qaz@wsx 1234!@#$ 123567890 159753159 271828182 1314520520 5201314a 5201314520 aa12345678 abcabc123 aini1314 ' +
  'bollywood caonima capetown contraseña correct-horse-battery-staple correcthorsebatterystaple dearbook fortnite gmail ' +
  'god harleydavidson hotmail instagram jesuslove johannesburg lagos linkedin login mastermaster mnbvcxzlkj mobilemail ' +
  'monitoring nairobi poiuytrewq qwertz redred rewq southafrica toor trewq twitter ubuntu wangyang wasd windowsxp yahoo'
).split(' ');
