/** @server none */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { SuiteError } from '@azora/db-core';
import { repositoryRoot } from '@azora/db-testkit';
import { RAG_ERROR_CODES, type RagErrorCode } from '../src';
import * as factories from '../src/errors';

describe('the error codes of rag', () => {
  const errors: readonly SuiteError[] = [
    ...Object.values(factories.CONSTRAINT_ERRORS).map((errorOf) => errorOf({})),
    ...[
      factories.chunkNotFound('x'),
      factories.nodeNotFound('x'),
      factories.modelNotFound('x'),
      factories.readerMissing(0),
    ],
    ...[
      factories.providerAnswer('x', 'y'),
      factories.providerFailed('x', 500, 1),
      factories.providerTimeout('x', 1, 1),
    ],
  ];

  it('are those of the errors that the store and the database can cause, sorted', () => {
    expect([...new Set(errors.map(({ code }) => code))].sort()).toEqual([...RAG_ERROR_CODES]);
  });

  it('have the kind that docs/errors.md lists', () => {
    const text = readFileSync(path.join(repositoryRoot(), 'docs/errors.md'), 'utf8');
    const listed = new Map(
      [...text.matchAll(/^\| .*`(RAG\.[A-Z_]+)` \| .* \| (\w+) \|$/gm)].map(([, code, kind]) => [code, kind] as const),
    );

    expect(listed.size).toBe(RAG_ERROR_CODES.length);
    expect(errors.filter(({ code, kind }) => listed.get(code) !== kind).map(({ code }) => code)).toEqual([]);
  });

  it('are a type that rejects other codes', () => {
    const known: RagErrorCode = 'RAG.MODEL_MISMATCH';
    // @ts-expect-error No error has this code.
    const unknown: RagErrorCode = 'RAG.NO_SUCH_CODE';

    expect([known, unknown].map((code) => RAG_ERROR_CODES.includes(code))).toEqual([true, false]);
  });
});
