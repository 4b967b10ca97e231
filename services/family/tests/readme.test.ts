/** @server none */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';
import * as store from '../src';

const README = readFileSync(path.join(repositoryRoot(), 'services/family/README.md'), 'utf8');

describe('the README of family', () => {
  it('names every function, every error code and every event of the store', () => {
    const functions = Object.entries(store).filter(
      ([name, value]) => typeof value === 'function' && /^[a-z]/.test(name),
    );
    const names = [
      ...functions.map(([name]) => name),
      ...store.FAMILY_ERROR_CODES,
      ...store.EVENTS.map(({ type }) => type),
    ];

    expect(names.length).toBeGreaterThan(45);
    expect(names.filter((name) => !README.includes(`\`${name}\``))).toEqual([]);
  });
});
