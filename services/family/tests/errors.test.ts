/** @server none */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';
import { FAMILY_ERROR_CODES, type FamilyErrorCode } from '../src';
import { CONSTRAINT_ERRORS, responderAnswer, responderFailed, responderTimeout } from '../src/errors';

describe('the error codes of family', () => {
  const errors = [
    ...Object.values(CONSTRAINT_ERRORS).map((errorOf) => errorOf({})),
    ...[responderAnswer('given', 'is blank'), responderFailed('openai', 500), responderTimeout('openai', 1)],
  ];

  it('are those of the errors that the database and the responders can cause, sorted', () => {
    expect([...new Set(errors.map(({ code }) => code))].sort()).toEqual([...FAMILY_ERROR_CODES]);
  });

  it('have the kind that docs/errors.md lists', () => {
    const text = readFileSync(path.join(repositoryRoot(), 'docs/errors.md'), 'utf8');
    const listed = new Map(
      [...text.matchAll(/^\| .*`(FAMILY\.[A-Z_]+)` \| .* \| (\w+) \|$/gm)].map(
        ([, code, kind]) => [code, kind] as const,
      ),
    );

    expect(listed.size).toBe(FAMILY_ERROR_CODES.length);
    expect(errors.filter(({ code, kind }) => listed.get(code) !== kind).map(({ code }) => code)).toEqual([]);
  });

  it('say what to do next', () => {
    expect(errors.filter(({ next }) => next === undefined)).toEqual([]);
  });

  it('are a type that rejects other codes', () => {
    const known: FamilyErrorCode = 'FAMILY.NAME_TAKEN';
    // @ts-expect-error No error has this code.
    const unknown: FamilyErrorCode = 'FAMILY.NO_SUCH_CODE';

    expect([known, unknown].map((code) => FAMILY_ERROR_CODES.includes(code))).toEqual([true, false]);
  });
});
