import type { Register } from './command';
import { openSuite, parseWhole, withJson } from './command';
import { type ConsentFlags, requireConsent, withConsent } from './consent';
import { EXIT_FOUND } from './exit-codes';

interface JsonFlag {
  readonly json?: boolean;
}

export const registerPitr: Register = (program, execute) => {
  const pitr = program
    .command('pitr')
    .summary('restore the embedded server to any moment since a base backup')
    .description(
      'Point-in-time recovery of the embedded server with all of its databases. It does not cover companions, which hold ' +
        'the services whose extensions the embedded server lacks and do not archive a log: use "npx azora-db backup" for ' +
        'them. For the server of docker-compose.yml use scripts/pitr; for any other server use pgBackRest, WAL-G or the ' +
        "provider's own recovery.",
    );
  for (const register of [registerEnable, registerBase, registerStatus, registerVerify, registerRestore])
    register(pitr, execute);
};

const registerEnable: Register = (pitr, execute) => {
  withJson(pitr.command('enable'))
    .description('archive the write-ahead log of the embedded server; restarts the server the first time')
    .action(
      execute(async (context, _flags: JsonFlag) => {
        const { settings, services } = await openSuite(context, {});
        const { enablePitr } = await import('../operations/pitr.js');
        const { enabledText } = await import('../render/pitr.js');
        const { log: onProgress, signal } = context;
        const enabled = await enablePitr(settings, services, { onProgress, signal });
        return { data: { ok: true, ...enabled }, text: enabledText(enabled) };
      }),
    );
};

interface BaseFlags extends JsonFlag {
  readonly keep?: number;
}

const registerBase: Register = (pitr, execute) => {
  withJson(pitr.command('base'))
    .description('make a base backup, so that every later moment can be restored')
    .option('--keep <n>', 'afterwards keep only the newest n base backups and the WAL that they need', parseWhole(1))
    .action(
      execute(async (context, flags: BaseFlags) => {
        const { settings, services } = await openSuite(context, {});
        const { takePitrBase } = await import('../operations/pitr.js');
        const { baseText } = await import('../render/pitr.js');
        const { log: onProgress, signal } = context;
        const base = await takePitrBase(settings, services, flags.keep, { onProgress, signal });
        return { data: { ok: true, ...base }, text: baseText(base) };
      }),
    );
};

const registerStatus: Register = (pitr, execute) => {
  withJson(pitr.command('status'))
    .description('show the archive, the base backups and the moments that can be restored')
    .action(
      execute(async (context, _flags: JsonFlag) => {
        const { settings, services } = await openSuite(context, {});
        const { readPitr } = await import('../operations/pitr.js');
        const { pitrStatusText } = await import('../render/pitr.js');
        const status = await readPitr(settings, services);
        return { data: { ok: true, ...status }, text: pitrStatusText(status) };
      }),
    );
};

const registerVerify: Register = (pitr, execute) => {
  withJson(pitr.command('verify'))
    .description('read every segment of the archive, and name those that are missing or damaged')
    .action(
      execute(async (context, _flags: JsonFlag) => {
        const { settings, services } = await openSuite(context, {});
        const { verifyPitr } = await import('../operations/pitr.js');
        const { verifiedText } = await import('../render/pitr.js');
        const { log: onProgress, signal } = context;
        const verified = await verifyPitr(settings, services, { onProgress, signal });
        const ok = verified.flaws.length === 0;
        return { data: { ok, ...verified }, text: verifiedText(verified), exitCode: ok ? 0 : EXIT_FOUND };
      }),
    );
};

interface RestoreFlags extends JsonFlag, ConsentFlags {
  readonly to: string;
  readonly timeline?: number;
}

const registerRestore: Register = (pitr, execute) => {
  withConsent(withJson(pitr.command('restore')))
    .summary('restore the whole embedded server to a moment; asks first')
    .description(
      'Recovers a copy next to the server to the given moment. The copy then replaces the data of the server, which is ' +
        'kept as data.before-<time>. All databases of the embedded server are restored together.',
    )
    .requiredOption('--to <point>', 'a time with a time zone (2026-01-31T12:00:00Z), an LSN (0/1A2B3C8), or latest')
    .option('--timeline <n>', 'follow a timeline that an earlier restore left', parseWhole(1))
    .action(
      execute(async (context, flags: RestoreFlags) => {
        const { settings, services, allServices } = await openSuite(context, {});
        const { checkPitrRestore, restorePitr } = await import('../operations/pitr.js');
        const { removeExpiredCopies } = await import('../operations/leftovers.js');
        const { restoredText } = await import('../render/pitr.js');
        const { log: onProgress, signal } = context;
        const options = { onProgress, signal };
        const request = { to: flags.to, timeline: flags.timeline };
        const targets = await checkPitrRestore(settings, services, request, options);
        const action = `restore every database of the embedded server to ${flags.to}; later transactions remain only in the replaced data`;
        await requireConsent(context, { ...flags, action, targets });
        const restored = await restorePitr(settings, services, request, options);
        // Without targets, because the copies of databases in the server were replaced with it.
        const scope = { settings, allServices, targets: [], only: undefined, location: undefined };
        const removedCopies = await removeExpiredCopies(scope, new Date());
        return { data: { ok: true, ...restored, removedCopies }, text: restoredText(restored, removedCopies) };
      }),
    );
};
