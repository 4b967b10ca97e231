/** @server none */
import { durationText, sizeText } from '../packages/fleet/src/system/quantities';
import { formatBytes, formatDuration } from '../packages/studio/src/shell/format';

const { durationText: durationOfPhase } =
  require('../scripts/phases.js') as typeof import('../packages/fleet/src/system/quantities');
const { phasesOf } = require('../benchmarks/start.bench.js') as {
  phasesOf: (stderr: string) => Readonly<Record<string, number>>;
};

const SIZES: readonly (readonly [number, string])[] = [
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 kB'],
  [8_388_608, '8.0 MB'],
  [104_857_599, '100 MB'],
  [1_073_741_823, '1.0 GB'],
  [7.3 * 2 ** 30, '7.3 GB'],
  [5_000 * 2 ** 40, '5000 TB'],
];

const DURATIONS: readonly (readonly [number, string])[] = [
  [0, '0 ms'],
  [999, '999 ms'],
  [999.9, '1 s'],
  [4_230, '4.2 s'],
  [75_000, '75 s'],
  [180_000, '3 min'],
  [5 * 3_600_000, '5 h'],
  [47.9 * 3_600_000, '48 h'],
  [7 * 86_400_000, '7 days'],
];

describe('a size', () => {
  it.each(SIZES)('%d is %s, in the command line and in the studio', (bytes, text) => {
    expect([sizeText(bytes), formatBytes(bytes)]).toEqual([text, text]);
  });
});

describe('a duration', () => {
  it.each(DURATIONS)('%d ms is %s, in the command line, in the scripts and in the studio', (milliseconds, text) => {
    const texts = [durationText(milliseconds), durationOfPhase(milliseconds), formatDuration(milliseconds / 1_000)];
    expect(texts).toEqual([text, text, text]);
  });

  it.each([840, 4_200, 75_000, 180_000])('of %d ms is read by the benchmark of the start', (milliseconds) => {
    const stderr = `compiling\ncompiled in ${durationText(milliseconds)}\nseeded in 3 s\n`;
    expect(phasesOf(stderr)).toMatchObject({ install: 0, build: milliseconds / 1_000, seed: 3 });
  });
});
