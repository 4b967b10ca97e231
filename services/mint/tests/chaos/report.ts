import { randomBytes } from 'node:crypto';
import type { ChaosReport } from './run';

/** That of the run to repeat, else a new one; printed, for a run that fails tells nothing without it. */
export function chaosSeed(): string {
  const seed = process.env['AZORA_TEST_SEED'] ?? randomBytes(6).toString('hex');
  process.stderr.write(`chaos: AZORA_TEST_SEED=${seed}\n`);
  return seed;
}

export function printReport({ begun, seconds, answered, refused, events }: ChaosReport): void {
  const lines = Object.entries({ answered, refused, events }).map(([what, tally]) => {
    const counts = Object.entries(tally).sort(([left], [right]) => (left < right ? -1 : 1));
    return `  ${what}: ${counts.map(([name, times]) => `${name} ${times}`).join(', ')}`;
  });
  process.stderr.write(`chaos: ${begun} operations in ${seconds.toFixed(1)} s\n${lines.join('\n')}\n`);
}

/** What a run must have met to have proven anything; those that it did not. */
export function missingFrom({ answered, refused, events }: ChaosReport, names: readonly string[]): readonly string[] {
  const met = { ...answered, ...refused, ...events };
  return names.filter((name) => (met[name] ?? 0) === 0);
}
