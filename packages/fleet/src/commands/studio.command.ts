import { randomBytes } from 'node:crypto';
import type { CommandContext, Register } from './command';
import { type FleetFlags, openSuite, parseWhole, withFleetFlags } from './command';

interface StudioFlags extends FleetFlags {
  readonly port: number;
  readonly host: string;
  readonly password?: boolean;
  readonly open: boolean;
  readonly write?: boolean;
  readonly reveal?: boolean;
}

const DEFAULT_PORT = 5180;
const PASSWORD_BYTES = 15;

export const registerStudio: Register = (program, execute) => {
  withFleetFlags(program.command('studio'))
    .summary('browse every database on one page; Ctrl-C ends it')
    .option('--port <number>', 'where the page is served; 0 for any port that is free', parseWhole(0), DEFAULT_PORT)
    .option('--host <address>', 'an address of this machine that others reach; demands --password', '127.0.0.1')
    .option(
      '--password',
      'let in who knows the password in AZORA_STUDIO_PASSWORD; without one it is made up and printed',
    )
    .option('--no-open', 'do not open the browser')
    .option('--write', 'let rows be changed; every change is told in the audit log of its service')
    .option('--reveal', 'show columns annotated @pii and @secret')
    .action(execute(runStudio));
};

async function runStudio(context: CommandContext, flags: StudioFlags) {
  const { settings, allServices, services } = await openSuite(context, flags);
  const { openTargets } = await import('../operations/targets.js');
  const { openCredentials } = await import('../config/credentials.js');
  const { openStudioContext } = await import('../operations/studio/open.js');
  const { PAGE_DIRECTORY, readAssets } = await import('../studio/assets.js');
  const { startStudio } = await import('../studio/server.js');

  const assets = await readAssets(PAGE_DIRECTORY);
  const password = passwordOf(context, flags);
  const targets = await openTargets(settings, services, context.log);
  const { host, port, write = false, reveal = false } = flags;
  const secretOf = await openCredentials(settings.home);
  // A page that is open outlives a restart of the same day, unless that is to let it do something else.
  const day = new Date().toISOString().slice(0, 10);
  const sessionOf = (at: number) => secretOf(`studio ${JSON.stringify([day, host, at, write, reveal, password])}`);
  const studio = await openStudioContext({ settings, allServices, targets, write, reveal });
  try {
    let preparing: Promise<void> | undefined;
    const server = await startStudio({
      ...{ context: studio.context, assets, host, port, password, sessionOf },
      // Not before the page is there, which waits for the same servers.
      onShown: () => {
        preparing ??= studio.prepare(context.log);
      },
      log: context.log,
    });
    context.log(`the studio is at ${server.url}`);
    if (flags.open) (await import('../studio/browser.js')).openBrowser(server.url);
    await aborted(context.signal);
    await server.close();
    await preparing;
    return { data: { ok: true }, text: 'the studio is closed' };
  } finally {
    await studio.close();
  }
}

/** Never a flag's value: other users of the machine see those. */
function passwordOf({ environment, log }: CommandContext, { password }: StudioFlags): string | undefined {
  if (password !== true) return undefined;
  const given = environment['AZORA_STUDIO_PASSWORD'];
  if (given !== undefined && given !== '') return given;
  const made = randomBytes(PASSWORD_BYTES).toString('base64url');
  log(`the password is ${made}`);
  return made;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    // A signal alone does not keep the process; the server does.
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
