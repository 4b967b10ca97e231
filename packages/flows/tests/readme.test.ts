/** @server any */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { format } from 'node:util';
import { repositoryRoot, useDatabase } from '@azora/db-testkit';
import { transformSync } from '@swc/core';

describe('the README of packages/flows', () => {
  const readme = readFileSync(path.join(repositoryRoot(), 'packages/flows/README.md'), 'utf8');
  const blockOf = (language: string) =>
    new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(readme)?.[1] ?? '';
  const given = { ...process.env };
  const databases = {
    EDUCATION: useDatabase('education'),
    FORGE: useDatabase('forge'),
    HEALTH: useDatabase('health'),
    MINT: useDatabase('mint'),
    NEXUS: useDatabase('nexus'),
    NOTIFICATION: useDatabase('notification'),
  };

  beforeAll(() => {
    for (const [name, db] of Object.entries(databases)) process.env[`${name}_DATABASE_URL`] = db().url;
  });
  afterAll(() => {
    process.env = given;
  });

  it('has an example that prints the text below it', async () => {
    const { code } = transformSync(blockOf('ts'), {
      jsc: { parser: { syntax: 'typescript' }, target: 'es2023' },
      module: { type: 'commonjs' },
    });
    const printed: string[] = [];
    const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor;
    const run = new AsyncFunction('require', 'exports', 'console', code);

    await run(require, {}, { log: (...values: unknown[]) => printed.push(format(...values)) });

    expect(`${printed.join('\n')}\n`).toBe(blockOf('text'));
  });
});
