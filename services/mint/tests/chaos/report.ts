import { randomBytes } from 'node:crypto';
import type { ChaosReport } from './run';

/** The seed of the run to repeat, or a new one. It is printed, because a failure cannot be repeated without it. */
export function chaosSeed(): string {
  const seed = process.env['AZORA_TEST_SEED'] ?? randomBytes(6).toString('hex');
  process.stderr.write(`chaos: AZORA_TEST_SEED=${seed}\n`);
  return seed;
}

export function printReport({ begun, seconds, answered, rejected, events }: ChaosReport): void {
  const lines = Object.entries({ answered, rejected, events }).map(([what, tally]) => {
    const counts = Object.entries(tally).sort(([left], [right]) => (left < right ? -1 : 1));
    return `  ${what}: ${counts.map(([name, times]) => `${name} ${times}`).join(', ')}`;
  });
  process.stderr.write(`chaos: ${begun} operations in ${seconds.toFixed(1)} s\n${lines.join('\n')}\n`);
}

/** The names that never occurred: a run that did not meet all of them proves little. */
export function missingFrom({ answered, rejected, events }: ChaosReport, names: readonly string[]): readonly string[] {
  const met = { ...answered, ...rejected, ...events };
  return names.filter((name) => (met[name] ?? 0) === 0);
}
