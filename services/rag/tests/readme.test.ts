/** @server none */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';
import * as store from '../src';

const README = readFileSync(path.join(repositoryRoot(), 'services/rag/README.md'), 'utf8');

/** `tests/readmes.test.ts` runs its example and looks up the constraints that it names. */
describe('the README of rag', () => {
  it('names every function of the store', () => {
    const functions = Object.entries(store).filter(
      ([name, value]) => typeof value === 'function' && /^[a-z]/.test(name),
    );
    expect(functions.map(([name]) => name).filter((name) => !README.includes(`\`${name}\``))).toEqual([]);
  });

  it('names every event of the store', () => {
    expect(store.EVENTS.filter(({ type }) => !README.includes(`\`${type}\``))).toEqual([]);
  });

  it('names every error code of the store', () => {
    expect(store.RAG_ERROR_CODES.filter((code) => !README.includes(`\`${code}\``))).toEqual([]);
  });
});
