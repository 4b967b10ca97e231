import { quoteIdentifier } from '@azora/db-core';
import { defineCheck } from './check';
import type { Finding } from './finding';

/** pgvector before 0.8.3 corrupts HNSW indexes when it vacuums them, and 0.8.4 corrects that correction (its CHANGELOG.md). */
const MINIMUM_VERSIONS: ReadonlyMap<string, { readonly version: string; readonly why: string }> = new Map([
  ['vector', { version: '0.8.4', why: 'vacuuming can corrupt HNSW indexes' }],
]);

interface ExtensionRow {
  readonly name: string;
  readonly installed: string | null;
  /** What CREATE EXTENSION would install; null when the server does not have it. */
  readonly offered: string | null;
}

/** What the service needs is installed, without known bugs, and as new as the server has it. */
export const checkExtensions = defineCheck<ExtensionRow>({
  sql: `SELECT coalesce(extname, name)::text AS name, extversion AS installed, default_version AS offered
        FROM pg_extension FULL JOIN pg_available_extensions ON name = extname ORDER BY 1`,
  judge: (rows, { extensions }) => {
    const known = new Map(rows.map((row) => [row.name, row]));
    const missing = extensions.filter((name) => (known.get(name)?.installed ?? null) === null);
    return [
      ...missing.map((name) => missingFinding(name, known.get(name)?.offered ?? null)),
      ...rows.flatMap(outdatedFindings),
    ];
  },
});

function missingFinding(name: string, offered: string | null): Finding {
  return {
    check: 'extension-missing',
    level: 'error',
    object: name,
    message: 'is needed by the service and not installed',
    next:
      offered === null
        ? "Install the extension's package on the server, then run db:migrate"
        : `CREATE EXTENSION ${quoteIdentifier(name)}, or run db:migrate if its migration is pending`,
  };
}

function outdatedFindings({ name, installed, offered }: ExtensionRow): readonly Finding[] {
  if (installed === null) return [];
  const minimum = MINIMUM_VERSIONS.get(name);
  const update = `ALTER EXTENSION ${quoteIdentifier(name)} UPDATE`;
  if (minimum !== undefined && isOlder(installed, minimum.version)) {
    const helps = offered !== null && !isOlder(offered, minimum.version);
    const next = helps ? update : `Install ${name} ${minimum.version} or newer on the server, then ${update}`;
    const message = `is ${installed}, and before ${minimum.version} ${minimum.why}`;
    return [{ check: 'extension-version', level: 'warning', object: name, message, next: `${next}, and REINDEX` }];
  }
  if (offered === null || !isOlder(installed, offered)) return [];
  const message = `is ${installed}, and the server has ${offered}`;
  return [{ check: 'extension-version', level: 'note', object: name, message, next: update }];
}

/** Compares versions number by number: 0.8.10 is newer than 0.8.4. */
export function isOlder(version: string, other: string): boolean {
  const [mine, theirs] = [version, other].map((text) => (text.match(/\d+/g) ?? []).map(Number));
  for (const [index, number] of (theirs ?? []).entries()) {
    const own = mine?.[index] ?? 0;
    if (own !== number) return own < number;
  }
  return false;
}
