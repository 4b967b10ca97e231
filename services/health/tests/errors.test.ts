/** @server none */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';
import { HEALTH_ERROR_CODES, type HealthErrorCode } from '../src';
import { CONSTRAINT_ERRORS, endpointNotFound } from '../src/errors';

describe('the error codes of health', () => {
  const errors = [
    ...Object.values(CONSTRAINT_ERRORS).map((errorOf) => errorOf({})),
    endpointNotFound({ serviceName: 'mint', port: 1 }),
  ];

  it('are those of the errors that the store throws, sorted', () => {
    expect([...new Set(errors.map(({ code }) => code))].sort()).toEqual([...HEALTH_ERROR_CODES]);
  });

  it('have the kind that docs/errors.md lists', () => {
    const text = readFileSync(path.join(repositoryRoot(), 'docs/errors.md'), 'utf8');
    const listed = new Map(
      [...text.matchAll(/^\| .*`(HEALTH\.[A-Z_]+)` \| .* \| (\w+) \|$/gm)].map(
        ([, code, kind]) => [code, kind] as const,
      ),
    );

    expect(listed.size).toBe(HEALTH_ERROR_CODES.length);
    expect(errors.filter(({ code, kind }) => listed.get(code) !== kind).map(({ code }) => code)).toEqual([]);
  });

  it('are a type that rejects other codes', () => {
    const known: HealthErrorCode = 'HEALTH.KEY_REUSED';
    // @ts-expect-error No error has this code.
    const unknown: HealthErrorCode = 'HEALTH.NO_SUCH_CODE';

    expect([known, unknown].map((code) => HEALTH_ERROR_CODES.includes(code))).toEqual([true, false]);
  });
});
