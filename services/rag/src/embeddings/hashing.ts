import type { EmbeddingProvider } from './provider';

/** What a model has learned: in how many of its documents a word of each bucket occurs. */
export interface WordFrequencies {
  readonly documents: number;
  readonly frequencies: readonly number[];
}

/** Few enough to be kept in a row, many enough that two words of a corpus of code rarely share one. */
const BUCKETS = 16_384;
/** Neighbouring words tell less than the words themselves, because most pairs occur once. */
const PAIR_WEIGHT = 0.4;
/** Each word counts in several dimensions, so that two words rarely share all dimensions. */
const DIMENSIONS_PER_WORD = 4;
const DECIMALS = 6;

/** The words of a text or of code: camelCase and snake_case are split, and simple endings of English are cut off. */
export function wordsOf(text: string): readonly string[] {
  const words = text.normalize('NFKC').match(/\p{Lu}+(?!\p{Ll})|\p{Lu}?[\p{Ll}\p{Lo}\p{M}]+|\p{N}+/gu) ?? [];
  return words.map((word) => stemOf(word.toLowerCase()));
}

function stemOf(word: string): string {
  if (word.length > 5 && word.endsWith('ing')) return withoutE(word.slice(0, -3));
  if (word.length > 4 && word.endsWith('ies')) return `${word.slice(0, -3)}y`;
  if (word.length > 4 && word.endsWith('ed')) return withoutE(word.slice(0, -2));
  if (word.length > 4 && /(ss|x|ch|sh)es$/.test(word)) return word.slice(0, -2);
  if (word.length > 3 && word.endsWith('s') && !word.endsWith('ss')) return withoutE(word.slice(0, -1));
  return withoutE(word);
}

/** `parse`, `parsing` and `parsed` become one word. */
function withoutE(word: string): string {
  return word.length > 4 && word.endsWith('e') ? word.slice(0, -1) : word;
}

/** Learns how rare words are in a corpus; the order of its texts does not matter. */
export function learnFrequencies(texts: Iterable<string>): WordFrequencies {
  const frequencies = new Array<number>(BUCKETS).fill(0);
  let documents = 0;
  for (const text of texts) {
    documents += 1;
    const buckets = new Set(wordsOf(text).map((word) => fnv1a(word) % BUCKETS));
    for (const bucket of buckets) frequencies[bucket] = (frequencies[bucket] ?? 0) + 1;
  }
  return { documents, frequencies };
}

/**
 * The built-in provider: feature hashing (Weinberger et al. 2009) of words and of pairs of neighbouring words, weighted by the
 * logarithm of their count and by the inverse document frequency of Okapi BM25. The same text has the same embedding everywhere.
 */
export function hashingProviderOf(model: string, dimension: number, learned: WordFrequencies): EmbeddingProvider {
  return {
    model,
    dimension,
    embed: async (texts) => texts.map((text) => embeddingOf(text, dimension, learned)),
  };
}

/** A model that has learned nothing: all words count alike. */
export const NOTHING_LEARNED: WordFrequencies = { documents: 0, frequencies: [0] };

/** The embedding of a text, of length 1. */
export function embeddingOf(text: string, dimension: number, learned: WordFrequencies): readonly number[] {
  const words = wordsOf(text);
  const counts = new Map<string, { count: number; weight: number }>();
  const add = (feature: string, weight: number) => {
    const known = counts.get(feature);
    if (known === undefined) counts.set(feature, { count: 1, weight });
    else known.count += 1;
  };
  for (const [index, word] of words.entries()) {
    const rarity = rarityOf(word, learned);
    add(word, rarity);
    const before = words[index - 1];
    if (before !== undefined) add(`${before} ${word}`, (PAIR_WEIGHT * (rarity + rarityOf(before, learned))) / 2);
  }
  // A text without words still has a direction of its own.
  if (counts.size === 0) add(`\n${text}`, 1);
  const sums = new Float64Array(dimension);
  for (const [feature, { count, weight }] of counts) {
    let hash = fnv1a(feature);
    for (let n = 0; n < DIMENSIONS_PER_WORD; n += 1) {
      hash = mix(hash + n);
      const place = hash % dimension;
      sums[place] = (sums[place] ?? 0) + ((hash & 0x10000) === 0 ? 1 : -1) * weight * (1 + Math.log(count));
    }
  }
  return unit(sums);
}

/** Words that nobody has learned are the rarest. */
function rarityOf(word: string, { documents, frequencies }: WordFrequencies): number {
  const frequency = frequencies[fnv1a(word) % frequencies.length] ?? 0;
  return Math.log(1 + (documents - frequency + 0.5) / (frequency + 0.5));
}

function unit(sums: Float64Array): readonly number[] {
  const length = Math.hypot(...sums);
  const numbers = [...sums].map((sum) => Number((sum / length).toFixed(DECIMALS)));
  // Features can cancel each other out.
  return Number.isFinite(length) && length > 0 && numbers.some((it) => it !== 0)
    ? numbers
    : numbers.map((_, place) => (place === 0 ? 1 : 0));
}

/** The 32-bit FNV-1a hash of the UTF-16 code units. */
function fnv1a(word: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < word.length; index += 1) {
    hash = Math.imul(hash ^ word.charCodeAt(index), 0x01000193) >>> 0;
  }
  return hash;
}

/** The finalizer of MurmurHash3, so that the bits of the place and of the sign are independent. */
function mix(value: number): number {
  let hash = value >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35) >>> 0;
  return (hash ^ (hash >>> 16)) >>> 0;
}
