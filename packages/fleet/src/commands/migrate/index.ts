import type { Register } from '../command';
import { registerBaseline } from './baseline.command';
import { registerDoctor } from './doctor.command';
import { registerDown } from './down.command';
import { registerDrift } from './drift.command';
import { registerLint } from './lint.command';
import { registerNew } from './new.command';
import { registerPlan } from './plan.command';
import { registerResolve } from './resolve.command';
import { registerMigrateStatus } from './status.command';
import { registerTag } from './tag.command';
import { registerUp } from './up.command';
import { registerVerify } from './verify.command';

const VERBS = [
  registerNew,
  registerPlan,
  registerUp,
  registerDown,
  registerTag,
  registerMigrateStatus,
  registerDrift,
  registerVerify,
  registerLint,
  registerResolve,
  registerBaseline,
  registerDoctor,
];

export const registerMigrate: Register = (program, execute) => {
  const migrate = program.command('migrate').summary('plan, apply, undo, write and check migrations');
  for (const register of VERBS) register(migrate, execute);
};
