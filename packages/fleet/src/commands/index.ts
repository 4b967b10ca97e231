import { Command } from 'commander';
import { suiteVersion } from '../config/registry';
import { registerBackup } from './backup';
import { registerCheck } from './check';
import { registerCleanup } from './cleanup';
import { type Execute, withJson } from './command';
import { registerCompletion } from './completion';
import { registerDocs } from './docs';
import { registerEvents } from './events';
import { addExamples } from './examples';
import { EXIT_CODES_TEXT } from './exit-codes';
import { registerGenerate } from './generate';
import { registerHelp } from './help';
import { registerImport } from './import';
import { registerMigrate } from './migrate';
import { registerPitr } from './pitr';
import { registerPrune } from './prune';
import { registerRag } from './rag';
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
  registerCheck,
  registerMigrate,
  registerSeed,
  registerBackup,
  registerRestore,
  registerPitr,
  registerEvents,
  registerRag,
  registerImport,
  registerPrune,
  registerCleanup,
  registerReset,
  registerGenerate,
  registerService,
  registerServer,
  registerStudio,
  registerUrl,
  registerDocs,
  registerCompletion,
];

/**
 * The command line with all commands, in the order in which `--help` lists them. It throws a `CommanderError` instead of
 * ending the process, and leaves it to the caller to print that error.
 */
export function createProgram(execute: Execute): Command {
  const program = withJson(new Command('azora-db'))
    .description('Sets up, migrates, seeds, checks, backs up and restores every database of the Azora suite')
    .version(suiteVersion(), '-V, --version', 'print the version')
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .showSuggestionAfterError(false)
    .addHelpText('after', `\n${EXIT_CODES_TEXT}`);
  for (const register of COMMANDS) register(program, execute);
  registerHelp(program);
  addExamples(program);
  // Otherwise a group takes `--json` although it is the value of an option: "migrate down --to --json".
  for (const group of [program, ...program.commands.filter((it) => it.commands.length > 0)]) {
    group.enablePositionalOptions();
    if (!group.options.some(({ long }) => long === '--json')) withJson(group);
  }
  return program;
}
