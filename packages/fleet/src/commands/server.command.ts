import type { Register } from './command';
import { openSuite, withJson } from './suite';

interface ServerFlags {
  readonly json?: boolean;
}

export const registerServer: Register = (program, execute) => {
  const server = program.command('server').summary('start, stop or look at the embedded server');

  withJson(server.command('start'))
    .summary('start the embedded server and its companions')
    .action(
      execute(async (context, _flags: ServerFlags) => {
        const { settings, services } = await openSuite(context, {});
        const { startServers } = await import('../operations/server.js');
        const { serversText } = await import('../render/server.js');
        const servers = await startServers(settings, services, context.log);
        return { data: { ok: true, servers }, text: serversText(servers) };
      }),
    );

  withJson(server.command('stop'))
    .summary('stop them; every committed row stays')
    .action(
      execute(async (context, _flags: ServerFlags) => {
        const { settings, services } = await openSuite(context, {});
        const { stopServers } = await import('../operations/server.js');
        const stopped = await stopServers(settings, services);
        const text = stopped.length === 0 ? 'nothing was running' : `stopped: ${stopped.join(', ')}`;
        return { data: { ok: true, stopped }, text };
      }),
    );

  withJson(server.command('status'))
    .summary('show whether they run, and where')
    .action(
      execute(async (context, _flags: ServerFlags) => {
        const { settings, services } = await openSuite(context, {});
        const { readServers } = await import('../operations/server.js');
        const { serversText } = await import('../render/server.js');
        const servers = await readServers(settings, services);
        return { data: { servers }, text: serversText(servers) };
      }),
    );
};
