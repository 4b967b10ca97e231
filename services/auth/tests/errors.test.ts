/** @server none */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';
import { AUTH_ERROR_CODES, type AuthErrorCode } from '../src/errors';
import type { AuthErrorCode as PublicCode } from '../src/index';

const SOURCE = path.join(repositoryRoot(), 'services/auth/src');

/** The codes that the store's code creates errors with. */
function codesThrown(): readonly (string | undefined)[] {
  const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.ts') && !name.startsWith('generated'),
  );
  const texts = files.map((name) => readFileSync(path.join(SOURCE, name), 'utf8')).join('\n');
  const found = [...texts.matchAll(/(?:new SuiteError|inputReader)\(\s*'(AUTH\.[A-Z_]+)'/g)].map(([, code]) => code);
  return [...new Set(found)].sort();
}

describe('AuthErrorCode', () => {
  it('has every code that the store creates, and no other', () => {
    expect([...AUTH_ERROR_CODES]).toEqual(codesThrown());
  });

  it('has the codes of docs/errors.md', () => {
    const text = readFileSync(path.join(repositoryRoot(), 'docs/errors.md'), 'utf8');
    const listed = [...text.matchAll(/^\| .*`(AUTH\.[A-Z_]+)` \|/gm)].map(([, code]) => code);

    expect(listed).toEqual([...AUTH_ERROR_CODES]);
  });

  it('is a closed union that a switch can exhaust', () => {
    const isLocked = (code: PublicCode): boolean => code === 'AUTH.LOCKED';
    // @ts-expect-error a code of another store is not in the union
    const foreign: AuthErrorCode = 'MINT.INSUFFICIENT_FUNDS';

    expect([isLocked('AUTH.LOCKED'), isLocked('AUTH.TOKEN_USED')]).toEqual([true, false]);
    expect(AUTH_ERROR_CODES).not.toContain(foreign);
  });
});
