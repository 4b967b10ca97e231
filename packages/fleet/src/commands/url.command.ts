import { SuiteError } from '@azora/db-core';
import type { Register } from './command';
import { openSuite, withJson } from './suite';

interface UrlFlags {
  readonly admin?: boolean;
  readonly json?: boolean;
}

export const registerUrl: Register = (program, execute) => {
  withJson(program.command('url'))
    .argument('<service>', 'a service, such as mint')
    .summary("print the connection URL of a service's database, password included")
    .option('--admin', "the administrator's URL instead of the app role's")
    .action(
      execute(async (context, service: string, flags: UrlFlags) => {
        const suite = await openSuite(context, { service: [service] });
        const { openCredentials } = await import('../config/credentials.js');
        const { appUrl, openTargets } = await import('../operations/targets.js');
        const [target] = await openTargets(suite.settings, suite.services, context.log);
        if (target === undefined)
          throw new SuiteError('USAGE.UNKNOWN_SERVICE', `Unknown service: ${service}`, { kind: 'usage' });
        const url = flags.admin ? target.admin : appUrl(target, await openCredentials(suite.settings.home));
        return { data: { service, url: url.href }, text: url.href };
      }),
    );
};
