import { randomBytes } from 'node:crypto';
import type { CommandContext, Register } from './command';
import { openSuite, parseWhole } from './suite';

interface StudioFlags {
  readonly service?: readonly string[];
  readonly port: number;
  readonly host: string;
  readonly password?: boolean;
  readonly open: boolean;
  readonly reveal?: boolean;
}

const DEFAULT_PORT = 5180;
const PASSWORD_BYTES = 15;

export const registerStudio: Register = (program, execute) => {
  program
    .command('studio')
    .summary('browse every database on one page; Ctrl-C ends it')
    .option('--port <number>', 'where the page is served; 0 for any port that is free', parseWhole(0), DEFAULT_PORT)
    .option('--host <address>', 'an address of this machine that others reach; demands --password', '127.0.0.1')
    .option(
      '--password',
      'let in who knows the password in AZORA_STUDIO_PASSWORD; without one it is made up and printed',
    )
    .option('--no-open', 'do not open the browser')
    .option('--reveal', 'show columns annotated @pii and @secret')
    .action(execute(runStudio));
};

async function runStudio(context: CommandContext, flags: StudioFlags) {
  const { settings, allServices, services } = await openSuite(context, {});
  const { openTargets } = await import('../operations/targets.js');
  const { openStudioContext } = await import('../operations/studio/open.js');
  const { PAGE_DIRECTORY, readAssets } = await import('../studio/assets.js');
  const { startStudio } = await import('../studio/server.js');

  const assets = await readAssets(PAGE_DIRECTORY);
  const password = passwordOf(context, flags);
  const targets = await openTargets(settings, services, context.log);
  const { reveal = false } = flags;
  const studio = await openStudioContext({ settings, allServices, targets, write: false, reveal });
  try {
    const { host, port } = flags;
    const server = await startStudio({ context: studio.context, assets, host, port, password, log: context.log });
    context.log(`the studio is at ${server.url}`);
    const unprepared = studio.prepare(context.log);
    if (flags.open) (await import('../studio/browser.js')).openBrowser(server.url);
    await aborted(context.signal);
    await server.close();
    await unprepared;
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
