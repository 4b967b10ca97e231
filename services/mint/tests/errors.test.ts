/** @server none */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';
import { MINT_ERROR_CODES, type MintErrorCode } from '../src';
import { CONSTRAINT_ERRORS } from '../src/errors';

/** What the facts of every rule may hold; a time that is missing cannot be shown. */
const FACTS = { expiredAt: '2026-01-01T00:00:00+00:00', lockedUntil: '2026-01-01T00:00:00+00:00' };

describe('the error codes of mint', () => {
  const errors = Object.values(CONSTRAINT_ERRORS).map((errorOf) => errorOf(FACTS));

  it('are those of the errors that the database can cause, sorted', () => {
    expect([...new Set(errors.map(({ code }) => code))].sort()).toEqual([...MINT_ERROR_CODES]);
  });

  it('have the kind that docs/errors.md lists', () => {
    const text = readFileSync(path.join(repositoryRoot(), 'docs/errors.md'), 'utf8');
    const listed = new Map(
      [...text.matchAll(/^\| .*`(MINT\.[A-Z_]+)` \| .* \| (\w+) \|$/gm)].map(([, code, kind]) => [code, kind] as const),
    );

    expect(listed.size).toBe(MINT_ERROR_CODES.length);
    expect(errors.filter(({ code, kind }) => listed.get(code) !== kind).map(({ code }) => code)).toEqual([]);
  });

  it('are a type that rejects other codes', () => {
    const known: MintErrorCode = 'MINT.INSUFFICIENT_FUNDS';
    // @ts-expect-error No error has this code.
    const unknown: MintErrorCode = 'MINT.NO_SUCH_CODE';

    expect([known, unknown].map((code) => MINT_ERROR_CODES.includes(code))).toEqual([true, false]);
  });
});
