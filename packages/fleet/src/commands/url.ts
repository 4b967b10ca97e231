import { SuiteError } from '@azora/db-core';
import { type FleetFlags, openSuite, type Register, withJson } from './command';

interface UrlFlags extends FleetFlags {
  readonly admin?: boolean;
}

export const registerUrl: Register = (program, execute) => {
  withJson(program.command('url'))
    .argument('<service>', 'the name of a service, such as mint')
    .description("print the URL of a service's database, including the password")
    .option('--admin', "print the administrator's URL instead of the app role's")
    .action(
      execute(async (context, service: string, flags: UrlFlags) => {
        const suite = await openSuite(context, { service: [service] });
        const { openCredentials } = await import('../config/credentials.js');
        const { appUrl, openTargets } = await import('../operations/targets.js');
        const [target] = await openTargets(suite.settings, suite.services, context.log, context.signal);
        if (target === undefined)
          throw new SuiteError('USAGE.UNKNOWN_SERVICE', `Unknown service: ${service}`, { kind: 'usage' });
        const url = flags.admin ? target.admin : appUrl(target, await openCredentials(suite.settings.home));
        return { data: { ok: true, service, url: url.href }, text: url.href };
      }),
    );
};
