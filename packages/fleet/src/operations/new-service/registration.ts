import { mkdir, readFile, rm, symlink } from 'node:fs/promises';
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

interface Edit {
  readonly file: string;
  readonly before: string;
  readonly after: string;
}

/**
 * Adds a service to the files of the checkout that name every service, and to node_modules and package-lock.json, as `npm install`
 * would. Runs no npm, so nothing is downloaded. A file that names the service already stays as it is, so the next run completes the
 * work of a killed one. When `finish` or a write fails, every file gets its old text back.
 */
export async function registerService(root: string, service: Registered, finish: () => Promise<void>): Promise<void> {
  const edits = await planEdits(root, service);
  const link = path.join(root, 'node_modules', '@azora', service.name);
  const written: Edit[] = [];
  try {
    for (const edit of edits) {
      written.push(edit);
      await replaceFile(edit.file, edit.after, { mode: 0o644 });
    }
    await linkPackage(root, service.name, link);
    await finish();
  } catch (error) {
    for (const { file, before } of written) await replaceFile(file, before, { mode: 0o644 });
    await rm(link, { force: true });
    throw error;
  }
}

async function planEdits(root: string, service: Registered): Promise<readonly Edit[]> {
  const { name, database } = service;
  const withEntries = (text: string) => withPackages(text, lockEntries(service));
  const changes: readonly (readonly [string, (text: string) => string])[] = [
    ['tsconfig.json', (text) => withSortedEntry(text, { pattern: PATH_ENTRY, text: pathEntry(name) })],
    ['.env.example', (text) => withSortedEntry(text, { pattern: URL_ENTRY, text: urlEntry(text, name, database) })],
    ['README.md', (text) => withServiceRow(text, `| ${name} | ${database} | items of users |\n`, name)],
    // npm's record of the installed packages.
    ['node_modules/.package-lock.json', withEntries],
    ['package-lock.json', withEntries],
  ];
  const edits: Edit[] = [];
  for (const [relative, change] of changes) {
    const file = path.join(root, relative);
    const before = await readText(file);
    const after = before === '' ? before : change(before);
    if (after !== before) edits.push({ file, before, after });
  }
  return edits;
}

/** '' for a file that does not exist, such as the ones that npm writes. */
function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return '';
    throw error;
  });
}

const PATH_ENTRY = /^ *\{ "path": "services\/(\w+)" \},?\n/gm;

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

async function linkPackage(root: string, name: string, link: string): Promise<void> {
  await mkdir(path.dirname(link), { recursive: true });
  // Windows lets an ordinary user create a junction, whose target is absolute.
  const target = process.platform === 'win32' ? path.join(root, 'services', name) : `../../services/${name}`;
  await symlink(target, link, 'junction').catch((error: unknown) => {
    if (codeOf(error) !== 'EEXIST') throw error;
  });
}

function lockEntries({ name, manifest }: Registered): Readonly<Record<string, unknown>> {
  const folder = `services/${name}`;
  const locked = LOCKED.flatMap((key) => (manifest[key] === undefined ? [] : [[key, manifest[key]] as const]));
  return { [`node_modules/@azora/${name}`]: { resolved: folder, link: true }, [folder]: Object.fromEntries(locked) };
}

/** Adds packages to the text of a lock file, in npm's order, and leaves every other line as it is. */
function withPackages(text: string, entries: Readonly<Record<string, unknown>>): string {
  const lock = JSON.parse(text) as Lock;
  const all = Object.entries({ ...lock.packages, ...entries });
  all.sort(([left], [right]) => left.localeCompare(right, 'en'));
  return `${JSON.stringify({ ...lock, packages: Object.fromEntries(all) }, null, 2)}\n`;
}
