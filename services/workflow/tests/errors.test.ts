/** @server none */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import { repositoryRoot } from '@azora/db-testkit';
import { z } from 'zod';
import { WORKFLOW_ERROR_CODES, type WorkflowErrorCode } from '../src';
import { CONSTRAINT_ERRORS, readInput, schemaInvalid, versionNotFound } from '../src/errors';

function invalidInput(): SuiteError {
  try {
    readInput(z.string(), 1);
  } catch (error) {
    if (error instanceof SuiteError) return error;
  }
  throw new Error('the input was accepted');
}

describe('the error codes of workflow', () => {
  const errors = [
    ...Object.values(CONSTRAINT_ERRORS).map((errorOf) => errorOf({})),
    ...[invalidInput(), schemaInvalid('x'), versionNotFound({})],
  ];

  it('are those of the errors that the store throws, sorted', () => {
    expect([...new Set(errors.map(({ code }) => code))].sort()).toEqual([...WORKFLOW_ERROR_CODES]);
  });

  it('have the kind that docs/errors.md lists', () => {
    const text = readFileSync(path.join(repositoryRoot(), 'docs/errors.md'), 'utf8');
    const listed = new Map(
      [...text.matchAll(/^\| .*`(WORKFLOW\.[A-Z_]+)` \| .* \| (\w+) \|$/gm)].map(
        ([, code, kind]) => [code, kind] as const,
      ),
    );

    expect(listed.size).toBe(WORKFLOW_ERROR_CODES.length);
    expect(errors.filter(({ code, kind }) => listed.get(code) !== kind).map(({ code }) => code)).toEqual([]);
  });

  it('are a type that rejects other codes', () => {
    const known: WorkflowErrorCode = 'WORKFLOW.KEY_REUSED';
    // @ts-expect-error No error has this code.
    const unknown: WorkflowErrorCode = 'WORKFLOW.NO_SUCH_CODE';

    expect([known, unknown].map((code) => WORKFLOW_ERROR_CODES.includes(code))).toEqual([true, false]);
  });
});
