import { SuiteError } from './errors';

/** A validated PostgreSQL URL, with the name of its source for error messages. */
export interface DatabaseUrl {
  readonly href: string;
  /** The variable or option that contained it, such as `DATABASE_URL`. */
  readonly source: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

const DEFAULT_PORT = 5432;
const LAST_PORT = 65_535;
const BAD_PORT = `Its port is not a number from 1 to ${LAST_PORT}.`;
/** A URL with such a port does not parse if the number is too large. */
const PORT_OF_AUTHORITY = /^\w+:\/\/[^/?#]+:\d{5,}(?:[/?#]|$)/;

// Parsing normalizes a URL's path: /. and /.. , escaped or not, would silently become no database at all, and PostgreSQL
// would connect to the database that has the name of the user.
const DOT_DATABASE = /^[^?#]*\/(?:\.|%2e){1,2}(?:[?#]|$)/i;
const NO_DOT_DATABASE = 'A URL cannot name a database "." or "..".';

/** How Prisma, JDBC and other drivers write the schema of unqualified names. This driver would ignore all of them. */
const SCHEMA_PARAMETERS = ['schema', 'currentSchema', 'search_path'];

/**
 * Validates a connection URL. No message shows the URL, because it may contain a password.
 * @throws {SuiteError} `CONFIG.BAD_URL` naming the source and the reason
 */
export function parseDatabaseUrl(text: string, source: string): DatabaseUrl {
  const reject = (why: string, next?: string): never => {
    throw badUrl(source, why, next);
  };
  if (text.trim() === '') return reject('It is empty.');
  if (!URL.canParse(text)) return reject(parseProblem(text));
  if (DOT_DATABASE.test(text)) return reject(NO_DOT_DATABASE);
  const url = new URL(text);
  if (url.protocol !== 'postgresql:' && url.protocol !== 'postgres:') {
    return reject(`It starts with "${url.protocol}//" instead of "postgresql://".`);
  }
  // libpq writes the directory of a socket as ?host=/path.
  // An IPv6 address has brackets in a URL, and none everywhere else.
  const host = url.searchParams.get('host') ?? decodePart(url.hostname)?.replace(/^\[(.*)\]$/, '$1');
  if (host === '' || host === undefined) return reject('It has no host.');
  const user = decodePart(url.username);
  const password = decodePart(url.password);
  const database = decodePart(url.pathname.slice(1));
  if (user === undefined || password === undefined || database === undefined) {
    return reject('It contains a % that does not start a %XX escape.');
  }
  if (database.includes('/')) return reject('Its path contains more than a database name.');
  const port = readPort(url.searchParams.get('port') ?? url.port);
  if (port === undefined) return reject(BAD_PORT);
  const parameter = SCHEMA_PARAMETERS.find((name) => url.searchParams.getAll(name).some((value) => value !== 'public'));
  if (parameter !== undefined) {
    const why = `Its parameter "${parameter}" names another schema than public, in which migrations and stores work.`;
    return reject(why, `Remove ${parameter} from ${source}, and use a database of its own for each environment`);
  }
  return { href: url.href, source, host, port, user, database };
}

/**
 * Returns the URL of the same server with another user, password or database.
 * @throws {SuiteError} `CONFIG.BAD_URL` for a database that a URL cannot name: `.`, `..` or a name with a `/`
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

/** Describes where a URL points, rebuilt from its parts so that no password or parameter is included. */
export function redactUrl(url: DatabaseUrl): string {
  const name = url.host.includes(':') ? `[${url.host}]` : url.host;
  const host = url.host.startsWith('/') ? `socket ${url.host}` : `${name}:${url.port}`;
  return `${url.user === '' ? '' : `${url.user}@`}${host}/${url.database}`;
}

function parseProblem(text: string): string {
  return PORT_OF_AUTHORITY.test(text) ? BAD_PORT : 'It is not a valid URL.';
}

function readPort(text: string): number | undefined {
  const port = text === '' ? DEFAULT_PORT : Number(text);
  return /^\d*$/.test(text) && port >= 1 && port <= LAST_PORT ? port : undefined;
}

function badUrl(
  source: string,
  why: string,
  next = `Set ${source} to postgresql://user:password@host:port/database (escape reserved characters of the password as %XX)`,
): SuiteError {
  return new SuiteError('CONFIG.BAD_URL', `${source} is not a valid PostgreSQL URL`, {
    kind: 'configuration',
    why,
    next,
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
