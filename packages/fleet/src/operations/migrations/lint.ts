import path from 'node:path';
import { type Place, placeOf, readMigrations, type Script } from '@azora/db-migrate';
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
 * @throws {SuiteError} `MIGRATION.SYNTAX` and the errors of reading migrations; `LINT.NO_SQUAWK`, `LINT.SQUAWK_FAILED`
 */
export async function lintServices(root: string, services: readonly Service[]): Promise<LintReport> {
  const files = (await Promise.all(services.map(readFiles))).flat();
  const found = await lintScripts(files);
  const findings = files.flatMap((file, at) => (found[at] ?? []).map((finding) => withPlace(root, file, finding)));
  const migrations = files.filter(({ direction }) => direction === 'up').length;
  return { files: files.length, migrations, findings };
}

async function readFiles({ name: service, migrationsPath }: Service): Promise<readonly ServiceFile[]> {
  const files: ServiceFile[] = [];
  let unmanaged: UnmanagedObjects = [];
  for (const migration of await readMigrations(migrationsPath)) {
    const read = async (script: Script, direction: Direction): Promise<ServiceFile> => {
      const statements = await parseScript(script);
      return { service, migration: migration.name, script, direction, statements, unmanaged };
    };
    const up = await read(migration, 'up');
    files.push(up);
    if (!('irreversible' in migration.down)) files.push(await read(migration.down, 'down'));
    unmanaged = replayObjects(unmanaged, up.statements);
  }
  return files;
}

function withPlace(root: string, file: ServiceFile, { offset, ...finding }: Finding): LintFinding {
  const { service, migration, script } = file;
  const relative = path.relative(root, script.file).split(path.sep).join('/');
  return { service, migration, file: relative, ...placeOf(script.sql, offset), ...finding };
}
