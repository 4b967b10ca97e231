/** @server none */
import { analyzeSentiment } from '../src';

/** The examples in the README of vaderSentiment, with their compound scores there. */
const README: readonly (readonly [text: string, compound: number])[] = [
  ['VADER is smart, handsome, and funny.', 0.8316],
  ['VADER is smart, handsome, and funny!', 0.8439],
  ['VADER is very smart, handsome, and funny.', 0.8545],
  ['VADER is VERY SMART, handsome, and FUNNY.', 0.9227],
  ['VADER is VERY SMART, handsome, and FUNNY!!!', 0.9342],
  ['VADER is VERY SMART, uber handsome, and FRIGGIN FUNNY!!!', 0.9469],
  ['VADER is not smart, handsome, nor funny.', -0.7424],
  ['The book was good.', 0.4404],
  ["At least it isn't a horrible book.", 0.431],
  ['The book was only kind of good.', 0.3832],
  ['The plot was good, but the characters are uncompelling and the dialog is not great.', -0.7042],
  ['Today SUX!', -0.5461],
  ["Today only kinda sux! But I'll get by, lol", 0.5249],
  ['Make sure you :) or :D today!', 0.8633],
  ['Catch utf-8 emoji such as 💘 and 💋 and 😁', 0.7003],
  ['Not bad at all', 0.431],
];

/** Sentences of the demo of vaderSentiment and others, with the scores that it computes with the lexicon of this package. */
const REFERENCE: readonly (readonly [text: string, compound: number])[] = [
  ['Sentiment analysis has never been good.', -0.3412],
  ['Sentiment analysis has never been this good!', 0.5672],
  ['Most automated sentiment analysis tools are shit.', -0.5574],
  ['With VADER, sentiment analysis is the shit!', 0.6476],
  ['Other sentiment analysis tools can be quite bad.', -0.5849],
  ['On the other hand, VADER is quite bad ass', 0.802],
  ['VADER is such a badass!', -0.2244],
  ['Without a doubt, excellent idea.', 0.7013],
  ['Roger Dodger is one of the most compelling variations on this theme.', 0.2944],
  ['Roger Dodger is at least compelling as a variation on the theme.', 0.2263],
  ['Roger Dodger is one of the least compelling variations on this theme.', -0.1695],
  ['Not such a badass after all.', 0.1139],
  ['Without a doubt, an excellent idea.', 0.7013],
  ['My heart is a broken heart', -0.5994],
  ['I have no joy or hope', -0.6681],
  ['kind of GREAT but so SAD??', -0.6289],
  ['LOVE', 0.6369],
];

describe('analyzeSentiment', () => {
  it.each(README)('scores an example of the README of vaderSentiment as it does: %s', (text, compound) => {
    expect(analyzeSentiment(text).compound).toBe(compound);
  });

  it.each(REFERENCE)('scores as vaderSentiment: %s', (text, compound) => {
    expect(analyzeSentiment(text).compound).toBe(compound);
  });

  it('gives the shares of the text that are positive, neutral and negative', () => {
    expect(analyzeSentiment('VADER is smart, handsome, and funny.')).toEqual({
      ...{ compound: 0.8316, positive: 0.746, neutral: 0.254, negative: 0 },
    });
    expect(analyzeSentiment('Today SUX!')).toEqual({ compound: -0.5461, positive: 0, neutral: 0.221, negative: 0.779 });
    expect(analyzeSentiment('The table.')).toEqual({ compound: 0, positive: 0, neutral: 1, negative: 0 });
  });

  it.each(['', ' \n', '!?', '\u{1f600}'.repeat(3), 'constructor __proto__ toString', 'no', 'but'])(
    'scores any text between -1 and 1: %s',
    (text) => {
      const { compound } = analyzeSentiment(text);

      expect(compound).toBeGreaterThanOrEqual(-1);
      expect(compound).toBeLessThanOrEqual(1);
    },
  );

  it('never leaves the range, however much is said', () => {
    expect(analyzeSentiment('great '.repeat(3000)).compound).toBeLessThanOrEqual(1);
    expect(analyzeSentiment('horrible, '.repeat(3000)).compound).toBeGreaterThanOrEqual(-1);
    expect(analyzeSentiment('x'.repeat(20_000)).compound).toBe(0);
  });
});
