import path from 'node:path';
import { type Place, placeFinder, readMigrations, type Script } from '@azora/db-migrate';
import type { Service } from '../../config/registry';
import { lintScripts } from '../../postgres/analysis/lint/lint';
import type { Direction, Finding, LintedScript } from '../../postgres/analysis/lint/rules';
import { parseScript } from '../../postgres/analysis/parse';
import { replayObjects, type UnmanagedObjects } from '../../postgres/analysis/unmanaged';

/** A finding with its place in the checkout. */
export interface LintFinding extends Pick<Finding, 'rule' | 'level' | 'message' | 'help'>, Place {
  readonly service: string;
  readonly migration: string;
  /** The path from the root of the checkout, with slashes. */
  readonly file: string;
}

export interface LintReport {
  readonly files: number;
  readonly migrations: number;
  readonly findings: readonly LintFinding[];
}

interface ServiceFile extends LintedScript {
  readonly service: string;
  readonly migration: string;
}

/**
 * Finds dangerous locks, data losses and other problems in every migration.sql and down.sql of the services, without a
 * database.
 * @throws {SuiteError} `MIGRATION.SYNTAX` and the errors of reading migrations; `LINT.NO_SQUAWK`, `LINT.SQUAWK_FAILED`; the reason of
 *   the signal
 */
export async function lintServices(
  root: string,
  services: readonly Service[],
  signal?: AbortSignal,
): Promise<LintReport> {
  const files = (await Promise.all(services.map((service) => readFiles(service, signal)))).flat();
  const found = await lintScripts(files, signal);
  signal?.throwIfAborted();
  const findings = files.flatMap((file, at) => withPlaces(root, file, found[at] ?? []));
  const migrations = files.filter(({ direction }) => direction === 'up').length;
  return { files: files.length, migrations, findings };
}

async function readFiles(
  { name: service, migrationsPath }: Service,
  signal: AbortSignal | undefined,
): Promise<readonly ServiceFile[]> {
  const files: ServiceFile[] = [];
  let unmanaged: UnmanagedObjects = [];
  for (const migration of await readMigrations(migrationsPath)) {
    const read = async (script: Script, direction: Direction): Promise<ServiceFile> => {
      const statements = await parseScript(script, signal);
      return { service, migration: migration.name, script, direction, statements, unmanaged };
    };
    const up = await read(migration, 'up');
    files.push(up);
    if (!('irreversible' in migration.down)) files.push(await read(migration.down, 'down'));
    unmanaged = replayObjects(unmanaged, up.statements);
  }
  return files;
}

function withPlaces(root: string, file: ServiceFile, findings: readonly Finding[]): readonly LintFinding[] {
  if (findings.length === 0) return [];
  const { service, migration, script } = file;
  const relative = path.relative(root, script.file).split(path.sep).join('/');
  const placeAt = placeFinder(script.sql);
  return findings.map(({ offset, ...finding }) => ({
    service,
    migration,
    file: relative,
    ...placeAt(offset),
    ...finding,
  }));
}
