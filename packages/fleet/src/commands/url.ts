import { type FleetFlags, type Register, withJson, withTarget } from './command';

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
        const { openCredentials } = await import('../config/credentials.js');
        const { appUrl } = await import('../operations/targets.js');
        return withTarget(context, service, async (target, { settings }) => {
          const url = flags.admin ? target.admin : appUrl(target, await openCredentials(settings.home));
          return { data: { ok: true, service, url: url.href }, text: url.href };
        });
      }),
    );
};
