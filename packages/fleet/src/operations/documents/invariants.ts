import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Service } from '../../config/registry';
import type { SchemaModel } from '../../schema/schema-model';

/** The names of objects that only migrations define, because Prisma's schema language cannot. Sorted. */
export interface Invariants {
  readonly checks: readonly string[];
  /** Indexes that the schema does not declare, such as partial and expression indexes. */
  readonly indexes: readonly string[];
  readonly triggers: readonly string[];
}

type Kind = keyof Invariants;

const STATEMENTS = new RegExp(
  [
    'CONSTRAINT\\s+"?(?<check>\\w+)"?\\s+(?:CHECK|EXCLUDE)\\b',
    'CREATE\\s+(?:OR\\s+REPLACE\\s+|UNIQUE\\s+|CONSTRAINT\\s+)*(?<made>INDEX|TRIGGER)\\s+(?:CONCURRENTLY\\s+)?' +
      '(?:IF\\s+NOT\\s+EXISTS\\s+)?"?(?<name>\\w+)"?',
    'DROP\\s+(?<dropped>CONSTRAINT|INDEX|TRIGGER)\\s+(?:CONCURRENTLY\\s+)?(?:IF\\s+EXISTS\\s+)?"?(?<gone>\\w+)"?',
  ].join('|'),
  'gi',
);

/** Reads the migrations of each service, in their order, for objects that the schema does not declare. */
export async function readInvariants(
  schemaModel: SchemaModel,
  services: readonly Service[],
): Promise<ReadonlyMap<string, Invariants>> {
  const found = services.map(async ({ name, migrationsPath }): Promise<[string, Invariants]> => {
    const models = schemaModel.services.find((it) => it.name === name)?.models ?? [];
    const declared = models.flatMap(({ uniques, indexes }) => [...uniques, ...indexes].map((index) => index.name));
    return [name, invariantsOf(await readMigrations(migrationsPath), declared)];
  });
  return new Map(await Promise.all(found));
}

/** Finds the names of created objects in SQL, except those that a later statement drops. */
export function invariantsOf(sql: string, declared: readonly string[]): Invariants {
  const names: Record<Kind, Set<string>> = { checks: new Set(), indexes: new Set(), triggers: new Set() };
  for (const { groups = {} } of sql.replace(/--[^\n]*/g, '').matchAll(STATEMENTS)) {
    const { check, made, name = '', dropped, gone = '' } = groups;
    if (check !== undefined) names.checks.add(check);
    if (made !== undefined) names[kindOf(made)].add(name);
    if (dropped !== undefined) names[kindOf(dropped)].delete(gone);
  }
  const sorted = (kind: Kind) => [...names[kind]].filter((name) => !declared.includes(name)).sort();
  return { checks: sorted('checks'), indexes: sorted('indexes'), triggers: sorted('triggers') };
}

async function readMigrations(folder: string): Promise<string> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const names = entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
  const texts = names.map((name) => readFile(path.join(folder, name, 'migration.sql'), 'utf8').catch(() => ''));
  return (await Promise.all(texts)).join('\n');
}

function kindOf(word: string): Kind {
  if (word.toUpperCase() === 'INDEX') return 'indexes';
  return word.toUpperCase() === 'TRIGGER' ? 'triggers' : 'checks';
}
