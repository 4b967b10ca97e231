// The configuration of Prisma's command line, for prisma.config.ts of every service. Prisma reads it from the source, before it
// looks for its schema engine, so this file decides what that look-up finds.
import { spawnSync } from 'node:child_process';
import path from 'node:path';

const root = path.resolve(__dirname, '..');

/** The commands that need Prisma's schema engine, and the command that does the same without it. */
const REPLACEMENTS: Readonly<Record<string, (service: string) => string>> = {
  'migrate dev': (service) => `npx azora-db migrate new ${service} <slug>`,
  'migrate deploy': (service) => `npx azora-db migrate up --service ${service}`,
  'migrate status': (service) => `npx azora-db migrate status --service ${service}`,
  'migrate diff': (service) => `npx azora-db migrate drift --service ${service}`,
  'migrate reset': (service) => `npx azora-db reset --service ${service}`,
  'migrate resolve': (service) => `npx azora-db migrate resolve applied ${service} <migration>`,
  'db push': (service) => `npx azora-db migrate new ${service} <slug>`,
  'db pull': (service) => `npx azora-db migrate drift --service ${service}`,
  'db execute': (service) => `psql "$(npx azora-db url ${service} --admin)"`,
};

/**
 * Returns the settings of one service. Ends the process with exit code 2 when the command needs a schema engine and
 * `PRISMA_SCHEMA_ENGINE_BINARY` names none.
 */
export function serviceConfig(service: string) {
  const args = process.argv.slice(2);
  const command = commandOf(args);
  const replacement = replacementFor(args, service);
  if (replacement !== undefined) requireEngine(command, replacement);
  // Prisma downloads its engine for every command, unless this variable names a file, which `generate` and the like never run.
  process.env['PRISMA_SCHEMA_ENGINE_BINARY'] ||= process.execPath;
  process.env['PRISMA_HIDE_UPDATE_MESSAGE'] ||= '1';
  process.env['CHECKPOINT_DISABLE'] ||= '1';
  return {
    schema: 'prisma/schema.prisma',
    migrations: { path: 'prisma/migrations', seed: `ts-node ../../prisma/seed.ts --service ${service}` },
    datasource: { url: args.includes('--url') ? '' : urlFor(command, service, replacement !== undefined) },
  };
}

/** The URL for a command that connects, else ''. */
function urlFor(command: string, service: string, needsEngine: boolean): string {
  if (needsEngine) return urlOf(service, true);
  if (command !== 'studio') return '';
  const { url, variables } = studioConnection(urlOf(service, false));
  Object.assign(process.env, variables);
  return url;
}

/**
 * Prisma's studio has a driver of its own. It ignores `?host=`, the directory of a Unix socket, and would connect to localhost,
 * where another server may answer. It takes the directory from PGHOST if the URL names no host.
 */
export function studioConnection(url: string): {
  readonly url: string;
  readonly variables: Readonly<Record<string, string>>;
} {
  const { searchParams, username, password, port, pathname } = new URL(url);
  const directory = searchParams.get('host');
  if (!directory?.startsWith('/')) return { url, variables: {} };
  const [PGUSER, PGPASSWORD] = [decodeURIComponent(username), decodeURIComponent(password)];
  return {
    url: `postgresql://${pathname}`,
    variables: { PGHOST: directory, PGPORT: port || '5432', PGUSER, PGPASSWORD },
  };
}

/** The command of this repository for a command line of Prisma that needs the schema engine; undefined for any other one. */
export function replacementFor(args: readonly string[], service: string): string | undefined {
  const asksForHelp = args.some((arg) => arg === '--help' || arg === '-h');
  return asksForHelp ? undefined : REPLACEMENTS[commandOf(args)]?.(service);
}

/** Its first two words, such as `migrate status`, or `studio`. */
function commandOf(args: readonly string[]): string {
  const [command = '', verb = ''] = args.filter((arg) => !arg.startsWith('-'));
  return ['migrate', 'db'].includes(command) ? `${command} ${verb}` : command;
}

function requireEngine(command: string, replacement: string): void {
  if (process.env['PRISMA_SCHEMA_ENGINE_BINARY']) return;
  process.stderr.write(
    `error: "prisma ${command}" needs Prisma's schema engine, which this repository does not install\n` +
      `fix:   run "${replacement}"; to use an engine of your own, set PRISMA_SCHEMA_ENGINE_BINARY to its path\n`,
  );
  process.exit(2);
}

/** The URL in the service's variable; otherwise the one that the toolkit finds, as the administrator for the schema engine. */
function urlOf(service: string, asAdministrator: boolean): string {
  const given = process.env[`${service.toUpperCase().replaceAll('-', '_')}_DATABASE_URL`];
  if (given) return given;
  const bin = path.join(root, 'packages', 'fleet', 'bin', 'azora-db.js');
  const args = ['url', service, ...(asAdministrator ? ['--admin'] : [])];
  const { status, stdout } = spawnSync(process.execPath, [bin, ...args], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  // The toolkit has printed what is wrong.
  if (status !== 0) process.exit(status ?? 1);
  return stdout.trim();
}
