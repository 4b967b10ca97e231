import { readFileSync } from 'node:fs';

/** How much a word that strengthens or weakens adds to the valence of the word after it. */
const STEP = 0.293;

let lexicon: ReadonlyMap<string, number> | undefined;

/** The valence of words, emoticons and slang from -4 to 4, as people rated them. The file is read at the first call. */
export function lexiconOf(): ReadonlyMap<string, number> {
  if (lexicon !== undefined) return lexicon;
  const lines = readFileSync(require.resolve('vader-sentiment/vader_lexicon.txt'), 'utf8').split('\n');
  const rated = lines.flatMap((line): [string, number][] => {
    const [word = '', valence] = line.trim().split('\t');
    return valence === undefined ? [] : [[word, Number(valence)]];
  });
  lexicon = new Map(rated);
  return lexicon;
}

const words = (text: string): readonly string[] => text.trim().split(/\s+/);

export const NEGATIONS: ReadonlySet<string> = new Set(
  words(`aint arent cannot cant couldnt darent didnt doesnt ain't aren't can't couldn't daren't didn't doesn't
    dont hadnt hasnt havent isnt mightnt mustnt neither don't hadn't hasn't haven't isn't mightn't mustn't
    neednt needn't never none nope nor not nothing nowhere oughtnt shant shouldnt uhuh wasnt werent
    oughtn't shan't shouldn't uh-uh wasn't weren't without wont wouldnt won't wouldn't rarely seldom despite`),
);

const STRONGER =
  words(`absolutely amazingly awfully completely considerable considerably decidedly deeply effing enormous enormously
  entirely especially exceptional exceptionally extreme extremely fabulously flipping flippin frackin fracking fricking frickin
  frigging friggin fully fuckin fucking fuggin fugging greatly hella highly hugely incredible incredibly intensely major majorly more
  most particularly purely quite really remarkably so substantially thoroughly total totally tremendous tremendously uber unbelievably
  unusually utter utterly very`);
const WEAKER =
  words(`almost barely hardly kinda kindof kind-of less little marginal marginally occasional occasionally partly scarce
  scarcely slight slightly somewhat sorta sortof sort-of`);

/** What words and phrases add to the strength of the word after them. */
export const DEGREES: ReadonlyMap<string, number> = new Map([
  ...STRONGER.map((word) => [word, STEP] as const),
  ...[...WEAKER, 'just enough', 'kind of', 'sort of'].map((word) => [word, -STEP] as const),
]);

/** The valence of phrases that have a word of the lexicon and another sense. */
export const IDIOMS: ReadonlyMap<string, number> = new Map([
  ['the shit', 3],
  ['the bomb', 3],
  ['bad ass', 1.5],
  ['badass', 1.5],
  ['bus stop', 0],
  ['yeah right', -2],
  ['kiss of death', -1.5],
  ['to die for', 3],
  ['beating heart', 3.1],
  ['broken heart', -2.9],
]);
