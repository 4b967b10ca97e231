/** @server none */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import { repositoryRoot } from '@azora/db-testkit';
import { DEBATE_ERROR_CODES, type DebateErrorCode } from '../src';
import * as errors from '../src/errors';

describe('the error codes of debate', () => {
  const made = [
    ...Object.values(errors.CONSTRAINT_ERRORS).map((errorOf) => errorOf({})),
    ...[errors.cycleNotFound({}), errors.matchNotFound({}), errors.agentNotFound({}), errors.positionNotFound({})],
    ...[
      errors.evolutionNotFound({}),
      errors.noEncryptionKey(),
      errors.encryptionKeyInvalid('x'),
      errors.keyUnknown(1, [2]),
    ],
    errors.ciphertextInvalid('w'),
  ];

  it('are those of the errors that the store can throw, sorted, each with a next step', () => {
    expect([...new Set(made.map(({ code }) => code))].sort()).toEqual([...DEBATE_ERROR_CODES]);
    expect(made.filter((error) => !(error instanceof SuiteError) || error.next === undefined)).toEqual([]);
  });

  it('have the kind that docs/errors.md lists', () => {
    const text = readFileSync(path.join(repositoryRoot(), 'docs/errors.md'), 'utf8');
    const rows = text.matchAll(/^\| .*`(DEBATE\.[A-Z_]+)` \| .* \| (\w+) \|$/gm);
    const listed = new Map([...rows].map(([, code, kind]) => [code, kind] as const));

    expect(listed.size).toBe(DEBATE_ERROR_CODES.length);
    expect(made.filter(({ code, kind }) => listed.get(code) !== kind).map(({ code }) => code)).toEqual([]);
  });

  it('are a type that rejects other codes', () => {
    const known: DebateErrorCode = 'DEBATE.CYCLE_OPEN';
    // @ts-expect-error No error has this code.
    const unknown: DebateErrorCode = 'DEBATE.NO_SUCH_CODE';

    expect([known, unknown].map((code) => DEBATE_ERROR_CODES.includes(code))).toEqual([true, false]);
  });
});
