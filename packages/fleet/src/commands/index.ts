import type { Command } from 'commander';
import { registerBackup } from './backup';
import type { Execute } from './command';
import { registerDocs } from './docs';
import { registerGenerate } from './generate';
import { registerMigrate } from './migrate';
import { registerPitr } from './pitr';
import { registerReset } from './reset';
import { registerRestore } from './restore';
import { registerSeed } from './seed';
import { registerServer } from './server';
import { registerService } from './service';
import { registerSetup } from './setup';
import { registerStatus } from './status';
import { registerStudio } from './studio';
import { registerUrl } from './url';

const COMMANDS = [
  registerSetup,
  registerStatus,
  registerMigrate,
  registerSeed,
  registerBackup,
  registerRestore,
  registerPitr,
  registerReset,
  registerGenerate,
  registerService,
  registerServer,
  registerStudio,
  registerUrl,
  registerDocs,
];

/** Adds all commands, in the order in which `--help` lists them. */
export function registerCommands(program: Command, execute: Execute): void {
  for (const register of COMMANDS) register(program, execute);
}
