import type { Command } from 'commander';
import { registerBackup } from './backup';
import type { Execute } from './command';
import { registerDocs } from './docs.command';
import { registerGenerate } from './generate.command';
import { registerMigrate } from './migrate';
import { registerPitr } from './pitr';
import { registerReset } from './reset.command';
import { registerRestore } from './restore';
import { registerSeed } from './seed.command';
import { registerServer } from './server.command';
import { registerSetup } from './setup.command';
import { registerStatus } from './status.command';
import { registerStudio } from './studio';
import { registerUrl } from './url.command';

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
  registerServer,
  registerStudio,
  registerUrl,
  registerDocs,
];

/** Adds every command, in the order in which `--help` lists them. */
export function registerCommands(program: Command, execute: Execute): void {
  for (const register of COMMANDS) register(program, execute);
}
