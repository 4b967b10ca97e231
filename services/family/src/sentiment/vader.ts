import { EMOJI } from './emoji';
import { DEGREES, IDIOMS, lexiconOf, NEGATIONS } from './words';

/** The sentiment of a text. */
export interface Sentiment {
  /** -1, the most negative, to 1, the most positive; 0 for a text without words that people feel something about. */
  readonly compound: number;
  /** The shares of the text that are positive, neutral and negative; they add up to 1, or to 0 for a text without words. */
  readonly positive: number;
  readonly neutral: number;
  readonly negative: number;
}

/** What capitals add to the valence of a word among words without them. */
const CAPITALS = 0.733;
const NEGATED = -0.74;
/** Close to the largest sum of valences of a text. */
const ALPHA = 15;
/** How much a word of degree loses one and two words further away. */
const DISTANCE = [1, 0.95, 0.9];

interface Words {
  readonly given: readonly string[];
  readonly lower: readonly string[];
  /** Some words, but not all of them, are in capitals. */
  readonly isMixed: boolean;
}

/**
 * The sentiment of an English text by the rules of VADER (Hutto and Gilbert 2014, as in vaderSentiment). Emoji without a sentiment
 * are words without one.
 */
export function analyzeSentiment(text: string): Sentiment {
  const spoken = spellEmoji(text);
  const given = spoken
    .split(/\s+/u)
    .filter((word) => word !== '')
    .map(stripWord);
  const capitals = given.filter(isUpper).length;
  const words = {
    given,
    lower: given.map((word) => word.toLowerCase()),
    isMixed: capitals > 0 && capitals < given.length,
  };
  const valences = given.map((_, at) => valenceOf(words, at));
  turnAtBut(words.lower, valences);
  return scoresOf(valences, emphasisOf(spoken));
}

/** Replaces emoji by their descriptions, each a word apart from the text before it. */
function spellEmoji(text: string): string {
  let spoken = '';
  let isApart = true;
  for (const character of text) {
    const description = EMOJI.get(character);
    if (description === undefined) {
      spoken += character;
      isApart = character === ' ';
    } else {
      spoken += isApart ? description : ` ${description}`;
      isApart = false;
    }
  }
  return spoken.trim();
}

/** Takes the punctuation off a word. What would keep one or two characters is an emoticon and stays. */
function stripWord(token: string): string {
  const stripped = token.replace(/^[!-/:-@[-`{-~]+|[!-/:-@[-`{-~]+$/g, '');
  return [...stripped].length <= 2 ? token : stripped;
}

function isUpper(word: string): boolean {
  return word === word.toUpperCase() && word !== word.toLowerCase();
}

function valenceOf(words: Words, at: number): number {
  const lexicon = lexiconOf();
  const { given, lower, isMixed } = words;
  let valence = ratingOf(lower, at);
  if (valence === undefined) return 0;
  if (isMixed && isUpper(given[at] ?? '')) valence += CAPITALS * (valence > 0 ? 1 : -1);
  for (const [distance, factor] of DISTANCE.entries()) {
    const from = at - distance - 1;
    if (from < 0 || lexicon.has(lower[from] ?? '')) continue;
    valence += degreeOf(given[from] ?? '', valence, isMixed) * factor;
    valence = negate(valence, lower, at, distance);
    if (distance === 2) valence = applyIdioms(valence, lower, at);
  }
  return isDeniedByLeast(lower, at) ? valence * NEGATED : valence;
}

function isDeniedByLeast(lower: readonly string[], at: number): boolean {
  return lower[at - 1] === 'least' && !['at', 'very'].includes(lower[at - 2] ?? '');
}

/** The rating of a word in the lexicon, with "no" as a denial of the word after it; undefined for a word that only modifies others. */
function ratingOf(lower: readonly string[], at: number): number | undefined {
  const lexicon = lexiconOf();
  const word = lower[at] ?? '';
  const rated = lexicon.get(word);
  if (rated === undefined || DEGREES.has(word) || (word === 'kind' && lower[at + 1] === 'of')) return undefined;
  const [last = '', second = '', third = ''] = [lower[at - 1], lower[at - 2], lower[at - 3]];
  if (last === 'no' || second === 'no' || (third === 'no' && ['or', 'nor'].includes(last))) return rated * NEGATED;
  return word === 'no' && lexicon.has(lower[at + 1] ?? '') ? 0 : rated;
}

function degreeOf(word: string, valence: number, isMixed: boolean): number {
  const degree = DEGREES.get(word.toLowerCase());
  if (degree === undefined) return 0;
  const signed = valence < 0 ? -degree : degree;
  if (!isMixed || !isUpper(word)) return signed;
  return valence > 0 ? signed + CAPITALS : signed - CAPITALS;
}

/** Applies the word at this distance before the rated one: 0 is the word next to it. */
function negate(valence: number, lower: readonly string[], at: number, distance: number): number {
  const modifier = lower[at - distance - 1] ?? '';
  const between = lower.slice(at - distance, at);
  if (distance > 0) {
    const isFirstEmphatic = modifier === 'never' && isSoOrThis(between[0]);
    // As in the reference: two words away, "so" or "this" next to the rated word is enough.
    if (isFirstEmphatic || (distance === 2 && isSoOrThis(between[1]))) return valence * 1.25;
    if (modifier === 'without' && between.includes('doubt')) return valence;
  }
  return NEGATIONS.has(modifier) || modifier.includes("n't") ? valence * NEGATED : valence;
}

function isSoOrThis(word: string | undefined): boolean {
  return word === 'so' || word === 'this';
}

/** Replaces the valence of a word by the one of a phrase that it is part of; phrases before it make it stronger or weaker. */
function applyIdioms(valence: number, lower: readonly string[], at: number): number {
  const phrase = (from: number, to: number) => lower.slice(at + from, at + to + 1).join(' ');
  const before = [phrase(-1, 0), phrase(-2, 0), phrase(-2, -1), phrase(-3, -1), phrase(-3, -2)];
  let result = before.map((it) => IDIOMS.get(it)).find((it) => it !== undefined) ?? valence;
  if (at + 1 < lower.length) result = IDIOMS.get(phrase(0, 1)) ?? result;
  if (at + 2 < lower.length) result = IDIOMS.get(phrase(0, 2)) ?? result;
  for (const it of [phrase(-3, -1), phrase(-3, -2), phrase(-2, -1)]) result += DEGREES.get(it) ?? 0;
  return result;
}

/**
 * Halves what stands before the first "but" and strengthens what stands after it. As in the reference, a valence that occurs more than
 * once counts at its first place.
 */
function turnAtBut(lower: readonly string[], valences: number[]): void {
  const but = lower.indexOf('but');
  if (but < 0) return;
  for (let at = 0; at < valences.length; at += 1) {
    const valence = valences[at] ?? 0;
    const first = valences.indexOf(valence);
    if (first !== but) valences[first] = valence * (first < but ? 0.5 : 1.5);
  }
}

/** What exclamation and question marks add to the sum of a text. */
function emphasisOf(text: string): number {
  const count = (mark: string) => text.split(mark).length - 1;
  const questions = count('?');
  return Math.min(count('!'), 4) * 0.292 + (questions <= 1 ? 0 : questions <= 3 ? questions * 0.18 : 0.96);
}

function scoresOf(valences: readonly number[], emphasis: number): Sentiment {
  if (valences.length === 0) return { compound: 0, positive: 0, neutral: 0, negative: 0 };
  const sum = valences.reduce((total, valence) => total + valence, 0);
  const emphasized = sum + Math.sign(sum) * emphasis;
  // A rated word counts as its valence and as the one word that it is.
  let positive = valences.filter((valence) => valence > 0).reduce((total, valence) => total + valence + 1, 0);
  let negative = valences.filter((valence) => valence < 0).reduce((total, valence) => total - valence + 1, 0);
  const neutral = valences.filter((valence) => valence === 0).length;
  if (positive > negative) positive += emphasis;
  else if (positive < negative) negative += emphasis;
  const total = positive + negative + neutral;
  return {
    compound: rounded(Math.max(-1, Math.min(1, emphasized / Math.sqrt(emphasized ** 2 + ALPHA))), 4),
    positive: rounded(positive / total, 3),
    neutral: rounded(neutral / total, 3),
    negative: rounded(negative / total, 3),
  };
}

function rounded(value: number, decimals: number): number {
  // Adding 0 turns -0 into 0.
  return Math.round(value * 10 ** decimals) / 10 ** decimals + 0;
}
