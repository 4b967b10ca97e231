import { createHash } from 'node:crypto';
import { mkdir, readFile, symlink } from 'node:fs/promises';
import path from 'node:path';
import { urlVariable } from '../../config/settings';
import { replaceFile } from '../../system/atomic-files';
import { codeOf } from '../../system/system-errors';

/** The facts of a service that files outside of its folder repeat. */
export interface Registered {
  readonly name: string;
  readonly database: string;
  /** Its package.json. */
  readonly manifest: Readonly<Record<string, unknown>>;
}

/** A line of a file that names a service, and the line for a new one. */
interface Entry {
  readonly pattern: RegExp;
  readonly text: string;
}

interface Lock {
  readonly packages: Readonly<Record<string, unknown>>;
}

/** The parts of a manifest that package-lock.json repeats, in its order. */
const LOCKED = ['name', 'version', 'license', 'dependencies', 'engines'];

/**
 * Adds a service to the files of the checkout that name every service, and to node_modules and package-lock.json, as `npm install`
 * would. Runs no npm, so nothing is downloaded. A file that names the service already stays as it is, so the next run completes the
 * work of a killed one.
 */
export async function registerService(root: string, service: Registered): Promise<void> {
  const { name, database } = service;
  await edit(root, 'tsconfig.json', (text) =>
    withSortedEntry(text, { pattern: /^ *\{ "path": "services\/(\w+)" \},?\n/gm, text: pathEntry(name) }),
  );
  await edit(root, '.env.example', (text) =>
    withSortedEntry(text, { pattern: URL_ENTRY, text: urlEntry(text, name, database) }),
  );
  await edit(root, 'README.md', (text) => withServiceRow(text, `| ${name} | ${database} | items of users |\n`, name));
  await linkPackage(root, service);
}

function pathEntry(name: string): string {
  return `    { "path": "services/${name}" },\n`;
}

const URL_ENTRY = /^# The URL of the (\w+) database only;.*\n#\w+=.*\n\n?/gm;

function urlEntry(text: string, name: string, database: string): string {
  const [, other = '', entry = ''] = /^# The URL of the (\w+) database only;.*\n(#\w+=.*)\n/m.exec(text) ?? [];
  const url = entry.slice(entry.indexOf('=') + 1).replace(/[^/]*$/, database);
  return other === ''
    ? ''
    : `# The URL of the ${name} database only; takes precedence over DATABASE_URL.\n#${urlVariable(name)}=${url}\n\n`;
}

/** Inserts an entry in the order of names among those that the pattern finds; its first group is the name. */
function withSortedEntry(text: string, { pattern, text: entry }: Entry): string {
  const found = [...text.matchAll(pattern)];
  const [own] = [...entry.matchAll(pattern)];
  const name = own?.[1] ?? '';
  if (own === undefined || found.some((it) => it[1] === name)) return text;
  const next = found.find((it) => (it[1] ?? '') > name);
  const last = found.at(-1);
  if (next !== undefined) return `${text.slice(0, next.index)}${entry}${text.slice(next.index)}`;
  if (last === undefined) return text;
  const end = last.index + last[0].length;
  // In JSON, the last entry has no comma.
  const before = text.slice(0, end).replace(/\}\n$/, '},\n');
  return `${before}${before.length > end ? entry.replace(/,\n$/, '\n') : entry}${text.slice(end)}`;
}

/** Adds a row at the end of the table of services. */
function withServiceRow(text: string, row: string, name: string): string {
  const [section, table = ''] = /^## Services\n\n((?:\|.*\n)+)/m.exec(text) ?? [];
  if (section === undefined || table.includes(`\n| ${name} |`)) return text;
  return text.replace(section, () => `${section}${row}`);
}

async function linkPackage(root: string, { name, manifest }: Registered): Promise<void> {
  const link = `node_modules/@azora/${name}`;
  const folder = `services/${name}`;
  const locked = LOCKED.flatMap((key) => (manifest[key] === undefined ? [] : [[key, manifest[key]] as const]));
  const entries = { [link]: { resolved: folder, link: true }, [folder]: Object.fromEntries(locked) };
  const withEntries = (text: string) => withPackages(text, entries);
  await mkdir(path.join(root, path.dirname(link)), { recursive: true });
  // Windows lets an ordinary user create a junction, whose target is absolute.
  const target = process.platform === 'win32' ? path.join(root, folder) : `../../${folder}`;
  await symlink(target, path.join(root, link), 'junction').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await edit(root, 'node_modules/.package-lock.json', withEntries);
  const before = await readFile(path.join(root, 'package-lock.json'), 'utf8');
  await edit(root, 'package-lock.json', withEntries);
  // The next start would otherwise install all packages again.
  const after = await readFile(path.join(root, 'package-lock.json'), 'utf8');
  await edit(root, 'node_modules/.azora-installed', (hash) => (hash === hashOf(before) ? hashOf(after) : hash));
}

/** Adds packages to the text of a lock file, in npm's order, and leaves every other line as it is. */
function withPackages(text: string, entries: Readonly<Record<string, unknown>>): string {
  const lock = JSON.parse(text) as Lock;
  const all = Object.entries({ ...lock.packages, ...entries });
  all.sort(([left], [right]) => left.localeCompare(right, 'en'));
  return `${JSON.stringify({ ...lock, packages: Object.fromEntries(all) }, null, 2)}\n`;
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Replaces a file when its text changes. A file that does not exist stays so. */
async function edit(root: string, name: string, change: (text: string) => string): Promise<void> {
  const file = path.join(root, name);
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return;
  const changed = change(text);
  if (changed !== text) await replaceFile(file, changed, { mode: 0o644 });
}
