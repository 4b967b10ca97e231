import { SuiteError } from '@azora/db-core/errors';
import { quoteIdentifier } from '@azora/db-core/quote';
import type { ClientBase } from 'pg';

/** The schema in which a statement with an unqualified name makes its object, and where that is set. */
interface SearchPath {
  /** Null when no schema of the path exists. */
  readonly first: string | null;
  readonly path: string;
  /** As in pg_settings: `database`, `user`, `database user`, `client` for the URL, or another one. */
  readonly source: string;
  readonly database: string;
  readonly role: string;
}

/**
 * Rejects a session whose unqualified names do not mean schema public, because the database, the role or the URL sets another search
 * path. Migrations would make their tables in the other schema, where neither Prisma's client nor a scratch database looks.
 * @throws {SuiteError} `MIGRATION.SEARCH_PATH`
 */
export async function refuseSearchPath(client: ClientBase): Promise<void> {
  const { rows } = await client.query<SearchPath>(
    `SELECT current_schema()::text AS first, setting AS path, source, current_database()::text AS database, session_user::text AS role
     FROM pg_settings WHERE name = 'search_path'`,
  );
  const [found] = rows;
  if (found === undefined || found.first === 'public') return;
  const { first, path, source, database } = found;
  throw new SuiteError('MIGRATION.SEARCH_PATH', `The search path of ${database} does not begin with public`, {
    kind: 'configuration',
    why: `It is ${path === '' ? 'empty' : path}, set by ${SETTERS[source] ?? 'the server'}, so ${
      first === null ? 'unqualified names have no schema' : `unqualified names mean the schema ${first}`
    }. Nothing was changed.`,
    next: remedyFor(found),
    meta: { database, searchPath: path, source },
  });
}

const SETTERS: Readonly<Record<string, string>> = {
  client: 'the options of the URL',
  database: 'the database',
  user: 'the role',
  'database user': 'the role in this database',
};

function remedyFor({ source, ...names }: SearchPath): string {
  const [database, role] = [quoteIdentifier(names.database), quoteIdentifier(names.role)];
  if (source === 'client') return 'Remove search_path from the options of the URL, and from PGOPTIONS';
  if (source === 'database') return `Run ALTER DATABASE ${database} RESET search_path`;
  if (source === 'user') return `Run ALTER ROLE ${role} RESET search_path`;
  if (source === 'database user') return `Run ALTER ROLE ${role} IN DATABASE ${database} RESET search_path`;
  return `Run ALTER DATABASE ${database} SET search_path = public`;
}
