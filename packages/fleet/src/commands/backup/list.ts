import type { Register } from '../command';
import { openSuite, withJson } from '../command';
import { openPlace, type PlaceFlags, withPlace } from './shared';

export const registerList: Register = (backup, execute) => {
  withJson(withPlace(backup.command('list')))
    .summary('show all sets: age, size, encrypted, verified')
    .action(
      execute(async (context, flags: PlaceFlags) => {
        const { settings } = await openSuite(context, {});
        const { listSets } = await import('../../operations/backup/list.js');
        const { listText } = await import('../../render/backup.js');
        const storage = await openPlace(settings, flags.from);
        const sets = await listSets(storage);
        return { data: { location: storage.location, sets }, text: listText(sets, storage.location, new Date()) };
      }),
    );
};
