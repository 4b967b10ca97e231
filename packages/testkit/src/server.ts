import { existsSync } from 'node:fs';
import path from 'node:path';
import { type DatabaseUrl, parseDatabaseUrl } from '@azora/db-core';

/** The prefix of all databases and roles that tests create, so that they touch nothing else on the server. */
export const TEST_PREFIX = 'azt_';

/** The administrator's URL of the server that the global set-up started or TEST_DATABASE_URL names. */
export function testServerUrl(): DatabaseUrl {
  const text = process.env['TEST_DATABASE_URL'];
  if (text === undefined) throw new Error('TEST_DATABASE_URL is not set; run the tests with "npm test" or "npx jest"');
  return parseDatabaseUrl(text, 'TEST_DATABASE_URL');
}

/** The root of the checkout that contains the tests. */
export function repositoryRoot(): string {
  const root = path.resolve(__dirname, '..', '..', '..');
  if (!existsSync(path.join(root, 'services'))) throw new Error(`${root} is not a checkout of the suite`);
  return root;
}
