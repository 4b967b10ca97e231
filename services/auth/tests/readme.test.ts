/** @server any */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { format } from 'node:util';
import { repositoryRoot, useDatabase } from '@azora/db-testkit';
import { transformSync } from '@swc/core';
import * as store from '../src/index';

const README = readFileSync(path.join(repositoryRoot(), 'services/auth/README.md'), 'utf8');

/** The first code block of a language. */
function blockOf(language: string): string {
  return new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(README)?.[1] ?? '';
}

describe('the README of auth', () => {
  const db = useDatabase('auth');

  it('has an example that prints the text below it', async () => {
    const { code } = transformSync(blockOf('ts'), {
      jsc: { parser: { syntax: 'typescript' }, target: 'es2023' },
      module: { type: 'commonjs' },
    });
    const printed: string[] = [];
    const url = process.env['AUTH_DATABASE_URL'];
    process.env['AUTH_DATABASE_URL'] = db().url;
    try {
      const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor;
      const run = new AsyncFunction('require', 'exports', 'console', code);
      await run(
        (name: string) => (name === '@azora/auth' ? store : undefined),
        {},
        { log: (...values: unknown[]) => printed.push(format(...values)) },
      );
    } finally {
      if (url === undefined) delete process.env['AUTH_DATABASE_URL'];
      else process.env['AUTH_DATABASE_URL'] = url;
    }

    expect(printed.join('\n')).toBe(blockOf('text').trim());
  });

  it('names every function of the store, and only constraints, triggers and functions that exist', async () => {
    const functions = Object.entries(store).filter(
      ([name, value]) => typeof value === 'function' && /^[a-z]/.test(name),
    );
    expect(
      functions
        .map(([name]) => name)
        .filter((name) => !README.includes(`\`${name}\``) && name !== 'openAuth' && name !== 'normalizeEmail'),
    ).toEqual([]);

    const invariants = README.slice(README.indexOf('## Invariants'), README.indexOf('## Passwords'));
    const names = [...invariants.matchAll(/\| .*?$/gm)].flatMap(([row]) =>
      [...row.matchAll(/`([a-z]+(?:_[a-z]+)+)`/g)].map(([, name]) => name),
    );
    expect(names.length).toBeGreaterThan(40);
    const known = await db().admin(`SELECT conname AS name FROM pg_constraint UNION SELECT indexname FROM pg_indexes
      UNION SELECT tgname FROM pg_trigger UNION SELECT proname FROM pg_proc UNION SELECT relname FROM pg_class
      UNION SELECT attname FROM pg_attribute`);
    expect(names.filter((name) => !known.some((row) => row['name'] === name))).toEqual([]);
  });

  it('names every event of the store', () => {
    expect(store.EVENTS.filter(({ type }) => !README.includes(`\`${type}\``))).toEqual([]);
  });

  it('names every action in the audit log', () => {
    const missing = actionsInCode().filter((action) => !README.includes(`\`${action}\``));
    expect(missing).toEqual([]);
  });
});

/** Every action in the code of the store and in its migrations. */
function actionsInCode(): readonly string[] {
  const root = path.join(repositoryRoot(), 'services/auth');
  const files = ['src', 'prisma/migrations'].flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /(?<!down)\.(ts|sql)$/.test(name) && !name.startsWith('generated'))
      .map((name) => path.join(folder, name)),
  );
  const texts = files.map((name) => readFileSync(path.join(root, name), 'utf8'));
  const patterns = [/action: '([A-Z_]+)'/g, /"p_at", '([A-Z_]+)'/g, /\? '([A-Z]+_[A-Z_]+)' : '[A-Z]+_[A-Z_]+'/g];
  const found = texts.flatMap((text) =>
    patterns.flatMap((pattern) => [...text.matchAll(pattern)].map(([, name = '']) => name)),
  );
  return [...new Set(found)];
}
