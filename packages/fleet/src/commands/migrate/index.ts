import type { Register } from '../command';
import { registerDown } from './down.command';
import { registerMigrateStatus } from './status.command';
import { registerUp } from './up.command';

const VERBS = [registerUp, registerDown, registerMigrateStatus];

export const registerMigrate: Register = (program, execute) => {
  const migrate = program.command('migrate').summary('plan, apply, undo, write and check migrations');
  for (const register of VERBS) register(migrate, execute);
};
