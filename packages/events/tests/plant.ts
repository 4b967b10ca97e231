import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { TestDatabase } from '@azora/db-testkit';
import { COMPILED, type Code } from './programs';

/** A text that is in the code once, and the bug that takes its place. */
export interface Plant {
  readonly search: string;
  readonly bug: string;
}

const root = path.resolve(__dirname, '..', '..', '..');
const COPIED = { 'db-core': 'packages/core', 'db-events': 'packages/events', family: 'services/family' };

/**
 * Copies the compiled packages and plants a bug in one file of the copy, such as `db-events/dist/relay.js`.
 * @throws {Error} if the code does not contain the text exactly once
 */
export function plantInCode(file: string, plant: Plant): Code & { readonly remove: () => void } {
  const place = mkdtempSync(path.join(os.tmpdir(), 'azora-planted-'));
  const modules = path.join(place, 'node_modules');
  const scope = path.join(modules, '@azora');
  mkdirSync(scope, { recursive: true });
  for (const name of readdirSync(path.join(root, 'node_modules')))
    if (name !== '@azora') symlinkSync(path.join(root, 'node_modules', name), path.join(modules, name));
  for (const [name, folder] of Object.entries(COPIED)) {
    const copy = path.join(scope, name);
    cpSync(path.join(root, folder, 'package.json'), path.join(copy, 'package.json'));
    cpSync(path.join(root, folder, 'dist'), path.join(copy, 'dist'), { recursive: true });
  }
  const target = path.join(scope, file);
  writeFileSync(target, planted(readFileSync(target, 'utf8'), plant, file));
  const program = path.join(place, 'program.js');
  cpSync(COMPILED.program, program);
  return {
    program,
    storePackage: path.join(scope, 'family'),
    remove: () => rmSync(place, { recursive: true, force: true }),
  };
}

/**
 * Plants a bug in an SQL function. Returns a function that restores the former definition.
 * @throws {Error} if the function does not contain the text exactly once
 */
export async function plantInFunction(
  { admin }: TestDatabase,
  name: string,
  ...plants: readonly Plant[]
): Promise<() => Promise<unknown>> {
  const [row] = await admin('SELECT pg_get_functiondef($1::regproc) AS definition', [name]);
  const definition = String(row?.['definition']);
  await admin(plants.reduce((text, plant) => planted(text, plant, name), definition));
  return () => admin(definition);
}

function planted(text: string, { search, bug }: Plant, place: string): string {
  const found = text.split(search).length - 1;
  if (found !== 1) throw new Error(`${place} contains ${JSON.stringify(search)} ${found} times`);
  // A function, because a bug may contain "$1", which replace() would interpret.
  return text.replace(search, () => bug);
}
