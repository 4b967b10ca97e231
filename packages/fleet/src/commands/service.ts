import { openSuite, type Register, withJson } from './command';

/** Adds `service` with its verb. */
export const registerService: Register = (program, execute) => {
  const service = program.command('service').description('create a service');
  withJson(
    service.command('new').argument('<name>', 'the name of the service: lowercase letters and digits, such as billing'),
  )
    .description('create a service with an example model, its migrations, store, seed and tests')
    .action(
      execute(async (context, name: string) => {
        const { settings, allServices } = await openSuite(context, {});
        const { createService } = await import('../operations/new-service/create.js');
        const { newServiceText } = await import('../render/new-service.js');
        const { log, signal } = context;
        const made = await createService(settings, allServices, name, { log, signal, now: new Date() });
        return { data: { ok: made?.built === true, service: name, ...made }, text: newServiceText(name, made) };
      }),
    );
};
