/** @server none */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';
import { NEXUS_ERROR_CODES, type NexusErrorCode } from '../src';
import { CONSTRAINT_ERRORS, itemNotFound, profileNotFound } from '../src/errors';

describe('the error codes of nexus', () => {
  const errors = [...Object.values(CONSTRAINT_ERRORS), itemNotFound, profileNotFound].map((errorOf) => errorOf({}));

  it('are those of the errors that the store throws, sorted', () => {
    expect([...new Set(errors.map(({ code }) => code))].sort()).toEqual([...NEXUS_ERROR_CODES]);
  });

  it('have the kind that docs/errors.md lists', () => {
    const text = readFileSync(path.join(repositoryRoot(), 'docs/errors.md'), 'utf8');
    const listed = new Map(
      [...text.matchAll(/^\| .*`(NEXUS\.[A-Z_]+)` \| .* \| (\w+) \|$/gm)].map(
        ([, code, kind]) => [code, kind] as const,
      ),
    );

    expect(listed.size).toBe(NEXUS_ERROR_CODES.length);
    expect(errors.filter(({ code, kind }) => listed.get(code) !== kind).map(({ code }) => code)).toEqual([]);
  });

  it('are a type that rejects other codes', () => {
    const known: NexusErrorCode = 'NEXUS.EVENT_REUSED';
    // @ts-expect-error No error has this code.
    const unknown: NexusErrorCode = 'NEXUS.NO_SUCH_CODE';

    expect([known, unknown].map((code) => NEXUS_ERROR_CODES.includes(code))).toEqual([true, false]);
  });
});
