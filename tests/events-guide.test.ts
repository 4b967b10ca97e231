/** @server any */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { format } from 'node:util';
import { repositoryRoot, useDatabase } from '@azora/db-testkit';
import { transformSync } from '@swc/core';

describe('docs/USE-EVENTS.md', () => {
  const db = useDatabase('workflow');
  const guide = readFileSync(path.join(repositoryRoot(), 'docs/USE-EVENTS.md'), 'utf8');
  const blockOf = (language: string) =>
    new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(guide)?.[1] ?? '';

  it('has an example that prints the text below it', async () => {
    const given = process.env['WORKFLOW_DATABASE_URL'];
    process.env['WORKFLOW_DATABASE_URL'] = db().url;
    const { code } = transformSync(blockOf('ts'), {
      jsc: { parser: { syntax: 'typescript' }, target: 'es2023' },
      module: { type: 'commonjs' },
    });
    const printed: string[] = [];
    const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor;
    try {
      const run = new AsyncFunction('require', 'exports', 'console', code);
      await run(require, {}, { log: (...values: unknown[]) => printed.push(format(...values)) });
    } finally {
      if (given === undefined) delete process.env['WORKFLOW_DATABASE_URL'];
      else process.env['WORKFLOW_DATABASE_URL'] = given;
    }

    expect(`${printed.join('\n')}\n`).toBe(blockOf('text'));
  });

  it('names only tables, columns and functions that exist', async () => {
    const names = [...guide.matchAll(/`([a-z]+(?:_[a-z]+)+)`/g)].map(([, name]) => name);
    const rows = await db().admin(`SELECT relname::text AS name FROM pg_class UNION SELECT attname FROM pg_attribute
      UNION SELECT proname FROM pg_proc`);

    expect(names.length).toBeGreaterThan(5);
    expect(names.filter((name) => !rows.some((row) => row['name'] === name))).toEqual([]);
  });
});
