import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { parseDatabaseUrl, quoteIdentifier } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import { findServices } from '../src/config/registry';
import { readSettings } from '../src/config/settings';
import { type OpenedStudio, openStudioContext } from '../src/operations/studio/context';
import { studioRole } from '../src/operations/targets';
import { newToken, type Secret } from '../src/studio/guard';
import type { TlsProxy } from '../src/studio/origin';
import { type Assets, readAssets } from '../src/studio/page';
import { type StudioServer, startServer } from '../src/studio/server';
import type { TimeLimits } from '../src/studio/transaction';
import { type GivenFleet, givenFleet, removeFleets } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';

/** The audit log that every service has. */
export const AUDIT_LOG = `
/// @erase retain(security audit)
/// @grant select, insert
model AuditLog {
  id           String   @id
  action       String
  resourceType String?  @map("resource_type")
  resourceId   String?  @map("resource_id")
  /// @pii free-text
  details      Json
  /// @pii ip
  ipAddress    String?  @map("ip_address")
  /// @pii device
  userAgent    String?  @map("user_agent")
  createdAt    DateTime @default(now()) @map("created_at")

  @@map("audit_logs")
}`;
export const AUDIT_LOG_SQL = `CREATE TABLE audit_logs (
    id text PRIMARY KEY, action text NOT NULL, resource_type text, resource_id text, details jsonb NOT NULL,
    ip_address text, user_agent text, created_at timestamptz NOT NULL DEFAULT now());`;

const PEOPLE = `
/// @erase delete
model User {
  id       String  @id
  /// @pii email
  email    String  @unique
  /// @secret
  password String
  city     String?
  search   String?
  notes    Note[]

  @@map("users")
}

model Note {
  id     Int    @id @default(autoincrement())
  userId String @map("user_id")
  user   User   @relation(fields: [userId], references: [id])
  body   String

  @@map("notes")
}

/// @grant select
model Ledger {
  id     Int @id
  amount Int

  @@map("ledger")
}
${AUDIT_LOG}`;

const SHOP = `
model Order {
  id     String @id
  /// @ref people.User.id
  userId String @map("user_id")

  @@map("orders")
}`;

/** The tables of the schemas, and objects that a schema does not show: functions, a view, a generated column. */
const PEOPLE_SQL = `
  CREATE TABLE users (
    id text PRIMARY KEY, email text NOT NULL UNIQUE, password text NOT NULL, city text,
    search text GENERATED ALWAYS AS (lower(email)) STORED);
  CREATE TABLE notes (id serial PRIMARY KEY, user_id text NOT NULL REFERENCES users, body text NOT NULL);
  CREATE TABLE ledger (id int PRIMARY KEY, amount int NOT NULL);
  ${AUDIT_LOG_SQL}
  CREATE TABLE _prisma_migrations (id text, migration_name text);
  CREATE VIEW everybody AS SELECT * FROM users;
  CREATE FUNCTION whole_user(wanted text) RETURNS SETOF users LANGUAGE sql STABLE SECURITY DEFINER
    AS 'SELECT * FROM users WHERE id = wanted';
  CREATE FUNCTION add_user(wanted text) RETURNS void LANGUAGE sql SECURITY DEFINER
    AS 'INSERT INTO users VALUES (wanted, wanted, wanted)';
  INSERT INTO users SELECT 'u' || n, 'person' || n || '@leaked.example', 'hunter2-leaked', 'Lisbon'
    FROM generate_series(1, 200) n;
  INSERT INTO notes (user_id, body) VALUES ('u1', 'hello');
  INSERT INTO ledger VALUES (1, 10);
  ANALYZE`;

/** Matches the hidden values of the fixture: no answer may contain them. */
export const LEAK = /leaked/;

export interface GivenStudio {
  readonly fleet: GivenFleet;
  readonly studio: OpenedStudio;
  readonly server: StudioServer;
  /** What authenticates a browser, and its page. */
  readonly entered: Entered;
  readonly logged: string[];
  /** Sends SQL as the page does and returns the answer. */
  readonly query: (sql: string, parameters?: readonly unknown[], service?: string) => Promise<StudioReply>;
  readonly send: (options: SendOptions) => Promise<Reply>;
}

export type StudioReply = readonly [null, Record<string, unknown>[]] | readonly [{ code: string; message: string }];

export interface SendOptions {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface StudioOptions {
  readonly write?: boolean;
  readonly reveal?: boolean;
  readonly host?: string;
  readonly password?: string;
  readonly limits?: TimeLimits;
  readonly port?: number;
  readonly proxy?: TlsProxy;
  readonly secretOf?: (port: number, secret: Secret) => string;
}

const opened: { studio: OpenedStudio; server: StudioServer }[] = [];
const folders: string[] = [];

/** Two services with rows. */
export async function givenPeople(): Promise<GivenFleet> {
  const fleet = await givenFleet({
    people: { schema: PEOPLE, migrations: {} },
    shop: { schema: SHOP, migrations: {} },
  });
  await rowsOf(fleet.target('people').admin, PEOPLE_SQL);
  await rowsOf(fleet.target('shop').admin, 'CREATE TABLE orders (id text PRIMARY KEY, user_id text NOT NULL)');
  return fleet;
}

/** A running studio of a fleet, with placeholder files as its page. */
export async function givenStudio(fleet: GivenFleet, options: StudioOptions = {}): Promise<GivenStudio> {
  const { write = false, reveal = false, host = '127.0.0.1', port = 0, proxy, password, limits } = options;
  const secrets = { cookie: newToken(), page: newToken() };
  const { secretOf = (_port: number, secret: Secret) => secrets[secret] } = options;
  const allServices = await findServices(fleet.root);
  const settings = readSettings(fleet.root, allServices, fleet.environment);
  const logged: string[] = [];
  const log = (line: string) => logged.push(line);
  const studio = await openStudioContext({ settings, allServices, targets: fleet.targets, write, reveal, log });
  const assets = await givenAssets();
  const server = await startServer({
    ...{ context: studio.context, assets, host, port, proxy, password, secretOf, log, limits },
    onFleetRead: () => undefined,
  });
  opened.push({ studio, server });
  const entered = await enter(server.port, new URL(server.url).search);
  const authorized = (sent: SendOptions) => send(server.port, { ...sent, headers: { ...entered, ...sent.headers } });
  const query = async (sql: string, parameters: readonly unknown[] = [], service = 'people') => {
    const body = JSON.stringify({ procedure: 'query', query: { sql, parameters } });
    const reply = await authorized(post(server.port, service, body));
    return JSON.parse(reply.text) as StudioReply;
  };
  return { fleet, studio, server, entered, logged, query, send: authorized };
}

/** The headers of a page that was let in. */
export interface Entered extends Readonly<Record<string, string>> {
  readonly cookie: string;
  readonly 'x-studio-key': string;
}

/** Opens the address with this query, and the page that it redirects to, as a browser does. */
export async function enter(port: number, search: string): Promise<Entered> {
  const first = await send(port, { path: `/${search}` });
  const cookies = (first.headers['set-cookie'] ?? []).map((cookie) => cookie.split(';')[0] ?? '');
  const page = await send(port, { path: '/', headers: { cookie: cookies.join('; ') } });
  const [, key = ''] = /name="studio-key" content="([\w-]+)"/.exec(page.text) ?? [];
  return { cookie: cookies[0] ?? '', 'x-studio-key': key };
}

/** A request as the page sends it, without what authenticates it. */
export function post(port: number, service: string, body: string): SendOptions {
  const headers = {
    origin: `http://127.0.0.1:${port}`,
    'content-type': 'application/json',
    'sec-fetch-site': 'same-origin',
  };
  return { path: `/api/services/${service}/query`, method: 'POST', headers, body };
}

/** Sends a request with exactly these headers, which `fetch` does not allow. */
export function send(port: number, { path: target, method = 'GET', headers = {}, body }: SendOptions): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const all = { host: `127.0.0.1:${port}`, 'user-agent': 'the studio test', ...headers };
    const sent = httpRequest(
      { host: '127.0.0.1', port, path: target, method, headers: all, agent: false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

export async function closeStudios(): Promise<void> {
  for (const { studio, server } of opened.splice(0)) {
    await server.close();
    await studio.close();
  }
}

/** Closes all studios and removes all fleets of the file, then drops their roles. */
export async function removeStudios(fleets: readonly GivenFleet[]): Promise<void> {
  await closeStudios();
  await removeFleets();
  const server = parseDatabaseUrl(process.env['TEST_DATABASE_URL'] ?? '', 'TEST_DATABASE_URL');
  await withClient(server, async (client) => {
    for (const target of fleets.flatMap(({ targets }) => targets))
      await client.query(`DROP ROLE IF EXISTS ${quoteIdentifier(studioRole(target))}`);
  });
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
}

/** The files of a page, with placeholder content. */
export async function givenAssets(): Promise<Assets> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'azora-page-'));
  folders.push(folder);
  for (const name of ['page.js', 'page.css', 'env.js', 'chunk-ABCD1234.js'])
    await writeFile(path.join(folder, name), `/* ${name} */`);
  return readAssets(folder);
}

/** The body of a request that every service answers. */
export const SELECT_1 = JSON.stringify({ procedure: 'query', query: { sql: 'SELECT 1 AS one', parameters: [] } });

/** The code of the error that rejected a statement; null when it succeeded. */
export function errorCodeOf(reply: StudioReply): string | null {
  return reply[0]?.code ?? null;
}

/** The code of an error answer. */
export function codeOf(text: string): unknown {
  return JSON.parse(text).error?.code;
}

/** Sends raw bytes, for requests that no HTTP client would send. */
export function sendBytes(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes));
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk.toString('utf8');
    });
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}
