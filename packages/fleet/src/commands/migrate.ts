import type { Register } from './command';
import { registerLint, registerNew, registerVerify } from './migrate/author';
import { registerBaseline, registerResolve, registerTag } from './migrate/history';
import { registerDoctor, registerDrift, registerStatus } from './migrate/inspect';
import { registerDown, registerPlan, registerUp } from './migrate/run';

/** Adds `migrate` with its verbs, in the order in which `--help` lists them. */
export const registerMigrate: Register = (program, execute) => {
  const migrate = program.command('migrate').description('write, plan, apply, revert and check migrations');
  for (const register of VERBS) register(migrate, execute);
};

const VERBS: readonly Register[] = [
  registerNew,
  registerPlan,
  registerUp,
  registerDown,
  registerTag,
  registerStatus,
  registerDrift,
  registerVerify,
  registerLint,
  registerResolve,
  registerBaseline,
  registerDoctor,
];
