import type { Register } from '../command';
import { addBackup } from './create';
import { registerList } from './list';
import { registerPrune } from './prune';
import { registerVerify } from './verify';

export const registerBackup: Register = (program, execute) => {
  const backup = program
    .command('backup')
    .summary('store all databases as one set; list, verify and prune sets')
    .description(
      'Stores every database, each in the state that it had at the same moment, as one set that a restore drill can prove.',
    )
    // Or flags that both have would be taken from the verb.
    .enablePositionalOptions();
  addBackup(backup, execute);
  for (const register of [registerVerify, registerList, registerPrune]) register(backup, execute);
};
