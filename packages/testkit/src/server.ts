import { existsSync } from 'node:fs';
import path from 'node:path';
import { type DatabaseUrl, parseDatabaseUrl } from '@azora/db-core';

/** Names of databases and roles on a test server begin with this, so that nothing else on it is touched. */
export const TEST_PREFIX = 'azt_';

/** The administrator's URL of the server that the global set-up found or started. */
export function testServerUrl(): DatabaseUrl {
  const text = process.env['TEST_DATABASE_URL'];
  if (text === undefined) throw new Error('TEST_DATABASE_URL is not set: run the tests by "npm test" or "npx jest"');
  return parseDatabaseUrl(text, 'TEST_DATABASE_URL');
}

/** The checkout that the tests are part of. */
export function repositoryRoot(): string {
  const root = path.resolve(__dirname, '..', '..', '..');
  if (!existsSync(path.join(root, 'services'))) throw new Error(`${root} is not a checkout of the suite`);
  return root;
}
