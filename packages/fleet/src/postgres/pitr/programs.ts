import { chmod, copyFile, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import type { Environment } from '../../system/child-environment';
import { runProgram } from '../../system/children';
import { reasonOf } from '../../system/system-errors';
import { type Account, asAccount, giveTo } from '../embedded/account';
import { serverEnvironment } from '../embedded/binaries';
import { type ArchiveLayout, ifExists } from './archive-layout';

/** The commands that the server runs for each segment, relative to its data directory, so that a checkout can be moved. */
export interface ArchiveCommands {
  readonly archive: string;
  /** Takes further places to search, with PostgreSQL's placeholders. */
  readonly restore: (...alsoFrom: readonly string[]) => string;
}

const COMPILED = path.resolve(__dirname, '..', '..', '..', 'dist', 'postgres', 'pitr');
/** Relative to <base>/embedded/<any data directory>. */
const FROM_DATA = '../../pitr';

/**
 * Copies the programs to a place that the server's account can read, and node itself if the account cannot run it.
 * @throws {SuiteError} `PITR.NO_RUNTIME`
 */
export async function installPrograms(
  layout: ArchiveLayout,
  account: Account | undefined,
  environment?: Environment,
): Promise<ArchiveCommands> {
  for (const name of ['archive', 'fetch']) {
    // .cjs, because the home may lie inside a package whose files are ES modules.
    await install(path.join(COMPILED, `${name}.js`), path.join(layout.programs, `${name}.cjs`), 0o400, account);
  }
  const node = await usableNode(layout, account, serverEnvironment(environment));
  const program = (name: string) => [node, `${FROM_DATA}/bin/${name}.cjs`];
  return {
    archive: commandLine([...program('archive'), '%p', `${FROM_DATA}/wal/%f`]),
    restore: (...alsoFrom) => commandLine([...program('fetch'), '%p', `${FROM_DATA}/wal/%f`, ...alsoFrom]),
  };
}

async function usableNode(
  layout: ArchiveLayout,
  account: Account | undefined,
  env: NodeJS.ProcessEnv,
): Promise<string> {
  const installed = process.execPath;
  if ((await failureToRun(installed, layout, account, env)) === undefined) return installed.replaceAll('%', '%%');
  const name = path.basename(installed);
  const copy = path.join(layout.programs, name);
  await install(installed, copy, 0o500, account);
  const reason = await failureToRun(copy, layout, account, env);
  if (reason !== undefined) throw noRuntime(installed, reason);
  return `${FROM_DATA}/bin/${name}`;
}

/** The reason why the account cannot run node; undefined when it can. */
async function failureToRun(
  node: string,
  layout: ArchiveLayout,
  account: Account | undefined,
  env: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  const options = { cwd: layout.programs, env, ...asAccount(account) };
  return runProgram(node, ['archive.cjs'], options).then(() => undefined, reasonOf);
}

async function install(from: string, to: string, mode: number, account: Account | undefined): Promise<void> {
  const [wanted, found] = await Promise.all([readFile(from), ifExists(() => readFile(to))]);
  if (found?.equals(wanted) === true) return;
  const draft = `${to}.${process.pid}`;
  try {
    await copyFile(from, draft);
    await chmod(draft, mode);
    await giveTo(account, draft);
    await rename(draft, to);
  } catch (error) {
    // The first error is the one to report; if the disk refuses this too, the draft stays behind.
    await rm(draft, { force: true }).catch(() => undefined);
    throw error;
  }
}

/** Quotes the words for the shell that PostgreSQL uses: sh, or cmd.exe. */
function commandLine(words: readonly string[]): string {
  const quote = (word: string) =>
    process.platform === 'win32' ? `"${word}"` : `'${word.replaceAll("'", String.raw`'\''`)}'`;
  return words.map(quote).join(' ');
}

/** `PITR.NO_RUNTIME`: the server's account can run neither node nor a copy of it. */
function noRuntime(node: string, reason: string): SuiteError {
  return new SuiteError('PITR.NO_RUNTIME', "The server's account cannot run Node.js", {
    kind: 'configuration',
    why: `The archive command is a Node.js script. ${reason}.`,
    next: 'Install Node.js in a directory that every account can read, such as /usr/bin',
    meta: { node },
  });
}
