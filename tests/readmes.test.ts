/** @server any */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { format } from 'node:util';
import { repositoryRoot, useDatabase } from '@azora/db-testkit';
import { transformSync } from '@swc/core';

/** auth and mint test their READMEs themselves, together with the functions that those list. */
const NAMES = readdirSync(path.join(repositoryRoot(), 'services'))
  .filter((name) => name !== 'auth' && name !== 'mint')
  .sort();

describe.each(NAMES)('the README of %s', (name) => {
  const db = useDatabase(name);
  const readme = readFileSync(path.join(repositoryRoot(), 'services', name, 'README.md'), 'utf8');

  /** The first code block in a language. */
  const blockOf = (language: string) =>
    new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(readme)?.[1] ?? '';

  it('has an example that prints the text below it', async () => {
    const variable = `${name.toUpperCase()}_DATABASE_URL`;
    const given = process.env[variable];
    process.env[variable] = db().url;
    try {
      expect(await printedBy(blockOf('ts'))).toBe(blockOf('text').trim());
    } finally {
      if (given === undefined) delete process.env[variable];
      else process.env[variable] = given;
    }
  });

  it('names only constraints, indexes and triggers that exist', async () => {
    const named = [...readme.matchAll(/`([a-z]+(?:_[a-z]+)+_(?:check|key|fkey|pkey|idx|append_only|total))`/g)];
    const rows = await db().admin(`SELECT conname AS name FROM pg_constraint UNION SELECT indexname FROM pg_indexes
      UNION SELECT tgname FROM pg_trigger`);
    const known = new Set(rows.map((row) => row['name']));
    const functions = await db().admin("SELECT prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace");
    const isRaised = (constraint = '') => functions.some((row) => String(row['prosrc']).includes(`'${constraint}'`));

    expect(named.length).toBeGreaterThan(0);
    expect(
      named.map(([, constraint]) => constraint).filter((constraint) => !known.has(constraint) && !isRaised(constraint)),
    ).toEqual([]);
  });
});

/** Runs an example as a module and returns what it prints. */
async function printedBy(example: string): Promise<string> {
  const { code } = transformSync(example, {
    jsc: { parser: { syntax: 'typescript' }, target: 'es2023' },
    module: { type: 'commonjs' },
  });
  const printed: string[] = [];
  const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor;
  const run = new AsyncFunction('require', 'exports', 'console', code);
  await run(require, {}, { log: (...values: unknown[]) => printed.push(format(...values)) });
  return printed.join('\n');
}
