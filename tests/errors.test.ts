import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';

const root = repositoryRoot();
const CODE = /'([A-Z]{3,}\.[A-Z][A-Z_]+)'/g;

/** Every code that stands as a literal in what we ship. */
function codesInCode(): ReadonlySet<string> {
  const codes = new Set<string>(['INTERNAL']);
  for (const folder of ['packages/core/src', 'packages/fleet/src', 'packages/migrate/src', 'prisma', 'services']) {
    for (const entry of readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })) {
      if (!entry.endsWith('.ts') || /(^|\/)(node_modules|dist|generated|tests)\//.test(entry)) continue;
      const text = readFileSync(path.join(root, folder, entry), 'utf8');
      for (const [, code] of text.matchAll(CODE)) if (code !== undefined) codes.add(code);
    }
  }
  return codes;
}

it('docs/errors.md lists every error code, and no other', () => {
  const text = readFileSync(path.join(root, 'docs', 'errors.md'), 'utf8');
  const listed = [...text.matchAll(/^\| `([A-Z_.]+)` \|/gm)].map(([, code]) => code);

  expect(listed).toEqual([...codesInCode()].sort());
});
