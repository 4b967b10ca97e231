import { execFile } from 'node:child_process';
import { chmod, copyFile, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { reasonOf } from '../../system/system-errors';
import { type Account, asAccount, giveTo } from '../embedded/account';
import { serverEnvironment } from '../embedded/binaries';
import type { Area } from './area';
import { noRuntime } from './errors';

const run = promisify(execFile);

/** What the server runs for each segment; from its data directory, so that a checkout can be moved. */
export interface ArchiveCommands {
  readonly archive: string;
  /** With further places to look at, in PostgreSQL's words. */
  readonly restore: (...alsoFrom: readonly string[]) => string;
}

const COMPILED = path.resolve(__dirname, '..', '..', '..', 'dist', 'postgres', 'pitr');
/** From <base>/embedded/<any data directory>. */
const FROM_DATA = '../../pitr';

/**
 * Copies the programs to where the server's account can read them, and node too if it cannot run that where it is.
 * @throws {SuiteError} `PITR.NO_RUNTIME`
 */
export async function installPrograms(area: Area, account: Account | undefined): Promise<ArchiveCommands> {
  for (const name of ['archive', 'fetch']) {
    // .cjs, for the home may lie below a package whose files are ES modules.
    await install(path.join(COMPILED, `${name}.js`), path.join(area.programs, `${name}.cjs`), 0o400, account);
  }
  const node = await usableNode(area, account);
  const program = (name: string) => [node, `${FROM_DATA}/bin/${name}.cjs`];
  return {
    archive: commandLine([...program('archive'), '%p', `${FROM_DATA}/wal/%f`]),
    restore: (...alsoFrom) => commandLine([...program('fetch'), '%p', `${FROM_DATA}/wal/%f`, ...alsoFrom]),
  };
}

async function usableNode(area: Area, account: Account | undefined): Promise<string> {
  const installed = process.execPath;
  if ((await faultOf(installed, area, account)) === undefined) return installed.replaceAll('%', '%%');
  const name = path.basename(installed);
  const copy = path.join(area.programs, name);
  await install(installed, copy, 0o500, account);
  const fault = await faultOf(copy, area, account);
  if (fault !== undefined) throw noRuntime(installed, fault);
  return `${FROM_DATA}/bin/${name}`;
}

/** Why the account cannot run it. */
async function faultOf(node: string, area: Area, account: Account | undefined): Promise<string | undefined> {
  const options = { cwd: area.programs, env: serverEnvironment(), ...asAccount(account) };
  return run(node, ['archive.cjs'], options).then(() => undefined, reasonOf);
}

async function install(from: string, to: string, mode: number, account: Account | undefined): Promise<void> {
  const [wanted, found] = await Promise.all([readFile(from), readFile(to).catch(() => undefined)]);
  if (found?.equals(wanted) === true) return;
  const draft = `${to}.${process.pid}`;
  try {
    await copyFile(from, draft);
    await chmod(draft, mode);
    await giveTo(account, draft);
    await rename(draft, to);
  } finally {
    await rm(draft, { force: true });
  }
}

/** Quoted for the shell that PostgreSQL hands it to: sh, or cmd.exe. */
function commandLine(words: readonly string[]): string {
  const quote = (word: string) =>
    process.platform === 'win32' ? `"${word}"` : `'${word.replaceAll("'", String.raw`'\''`)}'`;
  return words.map(quote).join(' ');
}

/** A file of the server's account, on the disk when this returns. */
export async function writeOwned(file: string, text: string, account: Account | undefined): Promise<void> {
  await writeFile(file, text, { mode: 0o600, flush: true });
  await giveTo(account, file);
}
