import { SuiteError } from './errors';

/** A PostgreSQL URL that was checked, with the name of where it came from for error messages. */
export interface DatabaseUrl {
  readonly href: string;
  /** The variable or option that held it, such as `DATABASE_URL`. */
  readonly source: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

const DEFAULT_PORT = 5432;

// A URL's path is normalized when it is read: /. and /.. , escaped or not, would silently become no database at all,
// which PostgreSQL takes as the one that is named like the user.
const DOT_DATABASE = /^[^?#]*\/(?:\.|%2e){1,2}(?:[?#]|$)/i;
const NO_DOT_DATABASE = 'A URL cannot name a database "." or "..".';

/**
 * Checks a connection URL. No message shows the URL, for it may hold a password.
 * @throws {SuiteError} `CONFIG.BAD_URL` naming the source and the reason
 */
export function parseDatabaseUrl(text: string, source: string): DatabaseUrl {
  const reject = (why: string): never => {
    throw badUrl(source, why);
  };
  if (text.trim() === '') return reject('It is empty.');
  if (!URL.canParse(text)) return reject('It cannot be read as a URL.');
  if (DOT_DATABASE.test(text)) return reject(NO_DOT_DATABASE);
  const url = new URL(text);
  if (url.protocol !== 'postgresql:' && url.protocol !== 'postgres:') {
    return reject(`It begins with "${url.protocol}//", not with "postgresql://".`);
  }
  // A socket directory comes as ?host=/path, as libpq has it.
  const host = url.searchParams.get('host') ?? decodePart(url.hostname);
  if (host === '' || host === undefined) return reject('It names no host.');
  const user = decodePart(url.username);
  const password = decodePart(url.password);
  const database = decodePart(url.pathname.slice(1));
  if (user === undefined || password === undefined || database === undefined) {
    return reject('It holds a % that does not begin a %XX escape.');
  }
  if (database.includes('/')) return reject('Its path holds more than a database name.');
  const port = url.searchParams.get('port') ?? url.port;
  return { href: url.href, source, host, port: port === '' ? DEFAULT_PORT : Number(port), user, database };
}

/**
 * The same server, as another user or with another database.
 * @throws {SuiteError} `CONFIG.BAD_URL` for a database that no URL can name: `.`, `..` or one with a `/`
 */
export function withUrlParts(
  url: DatabaseUrl,
  parts: { readonly database?: string; readonly user?: string; readonly password?: string },
): DatabaseUrl {
  const changed = new URL(url.href);
  if (parts.database === '.' || parts.database === '..') throw badUrl(url.source, NO_DOT_DATABASE);
  if (parts.database !== undefined) changed.pathname = `/${encodeURIComponent(parts.database)}`;
  if (parts.user !== undefined) changed.username = encodeURIComponent(parts.user);
  if (parts.password !== undefined) changed.password = encodeURIComponent(parts.password);
  return parseDatabaseUrl(changed.href, url.source);
}

/** Where a URL points, rebuilt from its parts so that no password or parameter can come along. */
export function redactUrl(url: DatabaseUrl): string {
  const host = url.host.startsWith('/') ? `socket ${url.host}` : `${url.host}:${url.port}`;
  return `${url.user === '' ? '' : `${url.user}@`}${host}/${url.database}`;
}

function badUrl(source: string, why: string): SuiteError {
  return new SuiteError('CONFIG.BAD_URL', `${source} is not a usable PostgreSQL URL`, {
    kind: 'configuration',
    why,
    next: `Set ${source} to postgresql://user:password@host:port/database (reserved characters in the password as %XX)`,
    meta: { source },
  });
}

function decodePart(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}
