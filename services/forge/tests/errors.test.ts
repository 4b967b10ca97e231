/** @server none */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';
import { FORGE_ERROR_CODES, type ForgeErrorCode } from '../src';
import { CONSTRAINT_ERRORS } from '../src/errors';

/** What the facts of every rule may hold; a time that is missing cannot be shown. */
const FACTS = { deadline: '2026-01-01T00:00:00+00:00' };

describe('the error codes of forge', () => {
  const errors = Object.values(CONSTRAINT_ERRORS).map((errorOf) => errorOf(FACTS));

  it('are those of the errors that the database can cause, sorted', () => {
    expect([...new Set(errors.map(({ code }) => code))].sort()).toEqual([...FORGE_ERROR_CODES]);
  });

  it('have the kind that docs/errors.md lists', () => {
    const text = readFileSync(path.join(repositoryRoot(), 'docs/errors.md'), 'utf8');
    const listed = new Map(
      [...text.matchAll(/^\| .*`(FORGE\.[A-Z_]+)` \| .* \| (\w+) \|$/gm)].map(
        ([, code, kind]) => [code, kind] as const,
      ),
    );

    expect(listed.size).toBe(FORGE_ERROR_CODES.length);
    expect(errors.filter(({ code, kind }) => listed.get(code) !== kind).map(({ code }) => code)).toEqual([]);
  });

  it('are a type that rejects other codes', () => {
    const known: ForgeErrorCode = 'FORGE.DISPUTED';
    // @ts-expect-error No error has this code.
    const unknown: ForgeErrorCode = 'FORGE.NO_SUCH_CODE';

    expect([known, unknown].map((code) => FORGE_ERROR_CODES.includes(code))).toEqual([true, false]);
  });
});
