/** @server none */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';
import * as store from '../src';

const README = readFileSync(path.join(repositoryRoot(), 'services/health/README.md'), 'utf8');

describe('the README of health', () => {
  it('names every function, every error code and every event of the store', () => {
    const functions = Object.entries(store).filter(
      ([name, value]) => typeof value === 'function' && /^[a-z]/.test(name),
    );
    const codes = store.HEALTH_ERROR_CODES.map((code) => code.replace('HEALTH.', ''));
    const names = [...functions.map(([name]) => name), ...codes, ...store.EVENTS.map(({ type }) => type)];

    expect(names.length).toBeGreaterThan(25);
    expect(names.filter((name) => !new RegExp(`\`(HEALTH\\.)?${name}\``).test(README))).toEqual([]);
  });
});
