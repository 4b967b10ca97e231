export { itKeepsAnAuditLog } from './audit-log';
export { openTestDatabase, type TestDatabase } from './database';
export { refusalsOf } from './race';
export { repositoryRoot, TEST_PREFIX, testServerUrl } from './server';
export { useDatabase } from './use-database';
