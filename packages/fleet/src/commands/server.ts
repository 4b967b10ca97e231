import { openSuite, type Register, withJson } from './command';

export const registerServer: Register = (program, execute) => {
  const server = program.command('server').description('start, stop or show the embedded server and its companions');

  withJson(server.command('start'))
    .description('start the embedded server and its companions')
    .action(
      execute(async (context) => {
        const { settings, services } = await openSuite(context, {});
        const { startServers } = await import('../operations/server.js');
        const { serversText } = await import('../render/status.js');
        const servers = await startServers(settings, services, context.log, context.signal);
        const text = servers.length === 0 ? 'every service is on a server that a variable names' : serversText(servers);
        return { data: { ok: true, servers }, text };
      }),
    );

  withJson(server.command('stop'))
    .description('stop the embedded server and its companions; no committed data is lost')
    .action(
      execute(async (context) => {
        const { settings, allServices } = await openSuite(context, {});
        const { stopServers } = await import('../operations/server.js');
        const stopped = await stopServers(settings, allServices);
        const text = stopped.length === 0 ? 'no server was running' : `stopped: ${stopped.join(', ')}`;
        return { data: { ok: true, stopped }, text };
      }),
    );

  withJson(server.command('status'))
    .description('show the state and address of each server')
    .action(
      execute(async (context) => {
        const { settings, allServices } = await openSuite(context, {});
        const { readServers } = await import('../operations/server.js');
        const { serversText } = await import('../render/status.js');
        const servers = await readServers(settings, allServices);
        return { data: { ok: true, servers }, text: serversText(servers) };
      }),
    );
};
