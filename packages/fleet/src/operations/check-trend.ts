import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { recallProblems } from '../postgres/dump/vector-recall';
import { makeDirectory, replaceFile } from '../system/atomic-files';
import type { CheckedService } from './check';
import type { ServiceRow } from './fleet';

/** The findings of the last check of each service. docs/FORMATS.md describes each field. */
export const lastCheckSchema = z.strictObject({
  format: z.literal(1),
  services: z.record(
    z.string(),
    z.strictObject({ at: z.iso.datetime(), findings: z.record(z.string(), z.int().min(1)) }),
  ),
});

type LastCheck = z.infer<typeof lastCheckSchema>;

/** A kind of problem beside the last check of its service. */
export interface Trend {
  readonly service: string;
  /** A reference, such as `mint.Wallet.userId → auth.User.id`, or a problem without its words that have digits. */
  readonly finding: string;
  readonly change: 'new' | 'grown' | 'same' | 'fewer' | 'gone';
  readonly before: number;
  readonly now: number;
  /** The time of the check before. */
  readonly since: string;
}

/**
 * Compares the findings with those of the last check in `home`, and records them for the next one. A service that was not checked
 * keeps what is recorded; one that was never checked before has no trend. `log` hears when the findings cannot be recorded.
 */
export async function recordTrend(
  home: string,
  rows: readonly ServiceRow<CheckedService>[],
  now: Date,
  log: (line: string) => void,
): Promise<readonly Trend[]> {
  const file = path.join(home, 'checks', 'last.json');
  const last = await readLastCheck(file);
  const trends: Trend[] = [];
  const services = new Map(Object.entries(last.services));
  for (const row of rows) {
    if (row.state !== 'done') continue;
    const findings = findingsOf(row.data);
    const before = services.get(row.service);
    if (before !== undefined) trends.push(...compare(row.service, before, findings));
    services.set(row.service, { at: now.toISOString(), findings: Object.fromEntries(findings) });
  }
  const record: LastCheck = { format: 1, services: Object.fromEntries(services) };
  try {
    await makeDirectory(path.dirname(file), 0o700);
    await replaceFile(file, `${JSON.stringify(record, null, 2)}\n`);
  } catch (error) {
    // The command prints the findings all the same.
    log(`the next check cannot compare with this one: ${error instanceof Error ? error.message : String(error)}`);
  }
  return trends;
}

/** A file that is absent or that this version does not know is like no check before. */
async function readLastCheck(file: string): Promise<LastCheck> {
  try {
    return lastCheckSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return { format: 1, services: {} };
  }
}

/** How many of each kind were found. A kind has no words with digits, such as ids and amounts: they tell problems of one kind apart. */
function findingsOf({ orphans, problems, recall = [] }: CheckedService): ReadonlyMap<string, number> {
  const findings = new Map(orphans.map(({ from, to, count }) => [`${from} → ${to}`, count]));
  const kinds = [...problems, ...recallProblems(recall)].map((problem) => problem.replace(/\S*\d\S*/g, '…'));
  for (const kind of kinds) findings.set(kind, (findings.get(kind) ?? 0) + 1);
  return findings;
}

function compare(
  service: string,
  { at: since, findings }: LastCheck['services'][string],
  found: ReadonlyMap<string, number>,
): readonly Trend[] {
  const earlier = new Map(Object.entries(findings));
  const kinds = [...new Set([...found.keys(), ...earlier.keys()])].sort();
  return kinds.map((finding) => {
    const [before, now] = [earlier.get(finding) ?? 0, found.get(finding) ?? 0];
    return { service, finding, change: changeOf(before, now), before, now, since };
  });
}

function changeOf(before: number, now: number): Trend['change'] {
  if (before === now) return 'same';
  if (before === 0) return 'new';
  if (now === 0) return 'gone';
  return now > before ? 'grown' : 'fewer';
}
