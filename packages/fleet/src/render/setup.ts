import type { SetupReport } from '../operations/setup';
import { failuresText, rowsData } from './fleet';
import { seedData, seedText } from './seed';
import { statusText } from './status';

export function setupData({ rows, seeded, status }: SetupReport) {
  const data = rowsData(rows);
  const seed = seeded === undefined ? null : seedData(seeded);
  return { ...data, ok: data.ok && seed?.ok !== false, seed, status };
}

export function setupText({ rows, seeded, status }: SetupReport): string {
  const failures = failuresText(rows);
  const seed = seeded === undefined ? '' : seedText(seeded);
  return [statusText(status), seed, failures].filter((part) => part !== '').join('\n');
}
