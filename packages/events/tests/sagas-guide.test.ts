/** @server any */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { format } from 'node:util';
import { repositoryRoot, useDatabase } from '@azora/db-testkit';
import { transformSync } from '@swc/core';
import { SAGA_TRANSITIONS } from '../src/saga/saga-state';

const GUIDE = readFileSync(path.join(repositoryRoot(), 'docs/SAGAS.md'), 'utf8');
/** The first code block in a language. */
const blockOf = (language: string) =>
  new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(GUIDE)?.[1] ?? '';

describe('the guide to sagas', () => {
  const databases = { nexus: useDatabase('nexus'), mint: useDatabase('mint'), education: useDatabase('education') };
  const given = { ...process.env };

  beforeAll(() => {
    for (const [service, db] of Object.entries(databases))
      process.env[`${service.toUpperCase()}_DATABASE_URL`] = db().url;
  });
  afterAll(() => {
    process.env = given;
  });

  it('has an example that prints the text below it and leaves no money reserved', async () => {
    const { code } = transformSync(blockOf('ts'), {
      jsc: { parser: { syntax: 'typescript' }, target: 'es2023' },
      module: { type: 'commonjs' },
    });
    const printed: string[] = [];
    const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor;
    const run = new AsyncFunction('require', 'exports', 'console', code);

    await run(require, {}, { log: (...values: unknown[]) => printed.push(format(...values)), warn: console.warn });

    expect(`${printed.join('\n')}\n`).toBe(blockOf('text'));
    expect(await databases.mint().app('SELECT status::text FROM holds ORDER BY 1')).toEqual([
      { status: 'captured' },
      { status: 'released' },
    ]);
    expect(await databases.education().app('SELECT status FROM enrollments')).toEqual([{ status: 'active' }]);
  });

  it('lists the states and what becomes of them', () => {
    const rows = [...GUIDE.matchAll(/^\| `([a-z]+)` \| .* \| (.*)\|$/gm)].map(([, state, becomes = '']) => [
      state,
      [...becomes.matchAll(/`([a-z]+)`/g)].map(([, name]) => name).toSorted(),
    ]);
    const table = Object.entries(SAGA_TRANSITIONS).map(([state, becomes]) => [
      state,
      becomes.filter((name) => name !== state).toSorted(),
    ]);

    expect(rows).toEqual(table);
  });
});
