export { openTestDatabase, type Query, type TestDatabase, useDatabase } from './database';
export { insertRow, itKeepsAnAuditLog, itTestsEveryCheck, refusalsOf, schemaRefuses } from './schema';
export { repositoryRoot, TEST_PREFIX, testServerUrl } from './server';
