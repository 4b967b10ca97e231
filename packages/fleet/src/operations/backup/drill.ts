import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import { z } from 'zod';
import type { Manifest } from '../../backup-store/manifest';
import { makeDirectory, replaceFile } from '../../system/atomic-files';
import { orAbsent } from '../../system/leftovers';
import type { VerifyReport } from './verify';

/** The schema of `drill.json`; docs/FORMATS.md describes each field. */
export const drillSchema = z.strictObject({
  at: z.iso.datetime(),
  /** The set that was restored; null when none could be chosen. */
  set: z.string().nullable(),
  ok: z.boolean(),
  /** The duration of restoring all databases; null when no set was restored. */
  rtoSeconds: z.number().nullable(),
  /** What a loss at that time would have cost: the age of the oldest snapshot of the set. */
  rpoSeconds: z.number().nullable(),
  /** How many the drill restored and compared. */
  databases: z.int(),
  tables: z.int(),
  rows: z.int(),
  problems: z.int(),
  warnings: z.int(),
  /** Why the drill failed as a whole; null when a set was restored. */
  error: z.strictObject({ code: z.string(), message: z.string() }).nullable(),
});

/** The result of a restore that was tried out without need. */
export type Drill = z.infer<typeof drillSchema>;

const fileIn = (home: string) => path.join(home, 'drill.json');

/** Counts what a verification restored and compared. */
export function drillOf({ id, databases }: Manifest, { rows, verification }: VerifyReport, at: Date): Drill {
  const compared = rows.flatMap((row) => (row.state === 'done' ? [row] : []));
  const names = new Set(compared.map(({ service }) => service));
  const tables = databases.filter(({ service }) => names.has(service)).flatMap((entry) => entry.tables);
  const oldest = Math.min(...databases.map(({ snapshot }) => Date.parse(snapshot.takenAt)));
  const { ok, restoreSeconds, problems, warnings, notKeptBecause } = verification;
  return {
    at: at.toISOString(),
    set: id,
    ok: ok && notKeptBecause !== 'interrupted',
    rtoSeconds: restoreSeconds,
    rpoSeconds: Math.max(0, Math.round((at.getTime() - oldest) / 1_000)),
    databases: compared.length,
    tables: tables.length,
    rows: compared.reduce((sum, { data }) => sum + data.rows, 0),
    problems: problems.length,
    warnings: warnings.length,
    error: null,
  };
}

/** A drill that found no set to restore, or could not restore it. */
export function failedDrill({ code, message }: SuiteError, at: Date): Drill {
  const nothing = { databases: 0, tables: 0, rows: 0, problems: 0, warnings: 0 };
  const error = { code, message };
  return { at: at.toISOString(), set: null, ok: false, rtoSeconds: null, rpoSeconds: null, ...nothing, error };
}

/** Keeps the result for `status` and the studio. */
export async function keepDrill(home: string, drill: Drill): Promise<void> {
  await makeDirectory(home, 0o700);
  await replaceFile(fileIn(home), `${JSON.stringify(drill, null, 2)}\n`);
}

/** The result of the last drill; undefined when there was none, or when its file is damaged. */
export async function readDrill(home: string): Promise<Drill | undefined> {
  const text = await orAbsent(readFile(fileIn(home), 'utf8'));
  return text === undefined ? undefined : drillSchema.safeParse(parseJson(text)).data;
}

/**
 * Writes the result as a file for the textfile collector of Prometheus's node exporter.
 * @throws {SuiteError} `BACKUP.METRICS_FAILED`
 */
export async function writeMetrics(file: string, drill: Drill): Promise<void> {
  const values: readonly (readonly [name: string, help: string, value: number | null])[] = [
    ['success', 'Whether the backup set was restored and held no problem.', Number(drill.ok)],
    ['timestamp_seconds', 'When the drill began.', Date.parse(drill.at) / 1_000],
    ['restore_seconds', 'How long the restore of all databases took.', drill.rtoSeconds],
    ['data_age_seconds', 'The age of the oldest snapshot of the set when the drill began.', drill.rpoSeconds],
    ['databases', 'How many databases were restored and compared.', drill.databases],
    ['rows', 'How many rows were restored and compared.', drill.rows],
    ['problems', 'How many problems the comparison found.', drill.problems],
  ];
  const lines = values.flatMap(([name, help, value]) => {
    const metric = `azora_backup_drill_${name}`;
    return value === null ? [] : [`# HELP ${metric} ${help}`, `# TYPE ${metric} gauge`, `${metric} ${value}`];
  });
  try {
    // The exporter runs under another account.
    await replaceFile(file, `${lines.join('\n')}\n`, { mode: 0o644 });
  } catch (error) {
    throw new SuiteError('BACKUP.METRICS_FAILED', `Cannot write the metrics to ${file}`, {
      why: 'The directory does not exist, or this account may not write there.',
      next: 'Correct the permissions, or name another file with --metrics',
      meta: { file },
      cause: error,
    });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
