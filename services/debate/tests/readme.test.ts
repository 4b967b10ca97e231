/** @server any */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { format } from 'node:util';
import { repositoryRoot, useDatabase } from '@azora/db-testkit';
import { transformSync } from '@swc/core';
import * as store from '../src';

const README = readFileSync(path.join(repositoryRoot(), 'services/debate/README.md'), 'utf8');

/** The first code block of a language. */
function blockOf(language: string): string {
  return new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(README)?.[1] ?? '';
}

describe('the README of debate', () => {
  const db = useDatabase('debate');

  it('has an example that prints the documented output', async () => {
    const { code } = transformSync(blockOf('ts'), {
      jsc: { parser: { syntax: 'typescript' }, target: 'es2023' },
      module: { type: 'commonjs' },
    });
    const printed: string[] = [];
    const packages = { '@azora/debate': { ...store, openDebate: () => store.openDebate({ url: db().url }) } };
    const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor;
    const run = new AsyncFunction('require', 'exports', 'console', code);

    await run(
      (name: keyof typeof packages) => packages[name],
      {},
      {
        log: (...values: unknown[]) => printed.push(format(...values)),
      },
    );

    expect(printed.join('\n')).toBe(blockOf('text').trim());
  });

  it('names every function of the store, and only constraints and triggers that exist', async () => {
    const functions = Object.entries(store).filter(
      ([name, value]) => typeof value === 'function' && /^[a-z]/.test(name),
    );
    expect(functions.map(([name]) => name).filter((name) => !README.includes(`\`${name}\``))).toEqual([]);

    const names = [...README.matchAll(/`([a-z]+(?:_[a-z]+)+_(?:check|key|fkey|pkey))`/g)].map(([, name]) => name);
    const triggers = [...README.matchAll(/triggers? ((?:`[a-z_]+`(?:, )?)+)/g)].flatMap(([, list = '']) =>
      [...list.matchAll(/`([a-z_]+)`/g)].map(([, name]) => name),
    );
    const known = await db().admin(`SELECT conname AS name FROM pg_constraint UNION SELECT indexname FROM pg_indexes
      UNION SELECT tgname FROM pg_trigger
      UNION SELECT found[1] FROM pg_proc, regexp_matches(prosrc, '''([a-z_]+_check)''', 'g') AS found`);
    expect([...names, ...triggers].filter((name) => !known.some((row) => row['name'] === name))).toEqual([]);
    expect(triggers.length).toBeGreaterThan(15);
  });

  it('names every event of the store', () => {
    expect(store.EVENTS.filter(({ type }) => !README.includes(`\`${type}\``))).toEqual([]);
  });

  it('names every error code of the store', () => {
    expect(store.DEBATE_ERROR_CODES.filter((code) => !README.includes(`\`${code}\``))).toEqual([]);
  });
});
