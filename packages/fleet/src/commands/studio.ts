import { randomBytes } from 'node:crypto';
import net from 'node:net';
import { type Environment, SuiteError } from '@azora/db-core';
import { InvalidArgumentError } from 'commander';
import { type CommandContext, type FleetFlags, openSuite, parseWhole, type Register, withFleetFlags } from './command';

interface StudioFlags extends FleetFlags {
  readonly port?: number;
  readonly host: string;
  readonly publicUrl?: string;
  readonly proxy?: string;
  readonly password?: boolean;
  readonly open: boolean;
  readonly write?: boolean;
  readonly reveal?: boolean;
}

/** The ports that are tried without --port. */
const DEFAULT_PORTS = Array.from({ length: 20 }, (_, index) => 5180 + index);
const LAST_PORT = 65_535;
const PASSWORD_BYTES = 15;

export const registerStudio: Register = (program, execute) => {
  withFleetFlags(program.command('studio'))
    .description('browse all databases on one page; stop it with Ctrl-C')
    .option(
      '--port <number>',
      `the port of the page; 0 for any free port (default: the first free one from ${DEFAULT_PORTS[0]} on)`,
      parseWhole(0, LAST_PORT),
    )
    .option('--host <address>', 'listen on this address; other than loopback it requires --password', '127.0.0.1')
    .option(
      '--public-url <url>',
      'the https address of the TLS proxy in front of the page; requires --password, and only the proxy may connect',
      parsePublicUrl,
    )
    .option('--proxy <address>', 'the IP address from which that proxy connects (default: loopback)', parseAddress)
    .option(
      '--password',
      'require the password in AZORA_STUDIO_PASSWORD; if that is not set, generate one and print it',
    )
    .option('--no-open', 'do not open the browser')
    .option('--write', 'allow changes to rows; every change is recorded in the audit log of its service')
    .option('--reveal', 'show columns annotated @pii and @secret')
    .action(execute(studio));
};

async function studio(context: CommandContext, flags: StudioFlags) {
  const { settings, allServices, services } = await openSuite(context, flags);
  const { openTargets } = await import('../operations/targets.js');
  const { checkMigrated } = await import('../operations/migrations/pending.js');
  const { runStudio } = await import('../studio/run.js');
  const { environment, signal, log } = context;
  const { host, open, write = false, reveal = false } = flags;
  if (flags.proxy !== undefined && flags.publicUrl === undefined) throw proxyAlone();
  const proxy = flags.publicUrl === undefined ? undefined : { origin: flags.publicUrl, address: flags.proxy };
  const ports = flags.port === undefined ? DEFAULT_PORTS : [flags.port];
  const password = flags.password ? passwordOf(environment, log) : undefined;
  const targets = await openTargets(settings, services, log, signal);
  const checked = await checkMigrated(targets, { signal });
  for (const row of checked) {
    if (row.state === 'failed') log(`warning: ${row.service}: ${row.error.message}. ${row.error.next ?? ''}`);
  }
  await runStudio({
    ...{ settings, allServices, targets, host, ports, proxy, password, open, write, reveal, environment, signal, log },
  });
  return { data: { ok: true }, text: 'The studio has stopped' };
}

/** The origin of an address as browsers see it. The page has no path of its own to live under. */
function parsePublicUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isOrigin = url !== undefined && url.protocol === 'https:' && url.href === `${url.origin}/`;
  if (!isOrigin) throw new InvalidArgumentError('It must be https://host or https://host:port, without a path.');
  return url.origin;
}

function parseAddress(text: string): string {
  if (net.isIP(text) === 0) throw new InvalidArgumentError('It must be an IP address.');
  return text;
}

function proxyAlone(): SuiteError {
  return new SuiteError('USAGE.INVALID_ARGUMENTS', '--proxy is the address of the proxy of --public-url', {
    kind: 'usage',
    next: 'Add --public-url with the address that browsers see, or omit --proxy',
  });
}

/** From the environment, because other users of the machine can see the arguments of a process. */
function passwordOf(environment: Environment, log: CommandContext['log']): string {
  const given = environment['AZORA_STUDIO_PASSWORD'];
  if (given !== undefined && given !== '') return given;
  const generated = randomBytes(PASSWORD_BYTES).toString('base64url');
  log(`The password is ${generated}`);
  return generated;
}
