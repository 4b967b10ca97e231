/** @server none */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { format } from 'node:util';
import { repositoryRoot } from '@azora/db-testkit';
import { transformSync } from '@swc/core';

describe('the README of packages/code', () => {
  const root = repositoryRoot();
  const readme = readFileSync(path.join(root, 'packages/code/README.md'), 'utf8');
  const blockOf = (language: string) =>
    new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(readme)?.[1] ?? '';

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

  it('names the versions of the grammars that the package accepts', () => {
    const { peerDependencies } = JSON.parse(readFileSync(path.join(root, 'packages/code/package.json'), 'utf8'));
    const rows = [...readme.matchAll(/^\| .* \| `(tree-sitter-[a-z-]+)@([\d.]+)` \|$/gm)];

    expect(Object.fromEntries(rows.map(([, name, version]) => [name, version]))).toEqual(peerDependencies);
  });
});
