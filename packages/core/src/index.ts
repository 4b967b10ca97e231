export { JSON_NULL, writeRows } from './bulk';
export { capabilitiesOf, type ServerCapabilities } from './capabilities';
export {
  type ConnectionFailure,
  type ConstraintErrors,
  connectionFailure,
  type DatabaseErrorFacts,
  findDatabaseError,
  isConnectionLoss,
  redactedCause,
} from './database-errors';
export type { Difference } from './difference';
export { type ErrorKind, isRecord, SuiteError, type SuiteErrorDetails } from './errors';
export { type GatheredFunction, gatherCalls, gatherFunction, type Outcome } from './gather';
export { newId } from './ids';
export { formatMoney, type MoneyInput, parseMoney } from './money';
export { openPool, POOL_DEFAULTS, type PoolOptions } from './pool';
export type { ProgramMessage, ProgramRequest } from './program';
export { quoteIdentifier, quoteLiteral } from './quote';
export { requestHash } from './request-hash';
export { isRetryable } from './retry';
export {
  type CopyValue,
  defineSeed,
  rowsPerUser,
  type SeedBlock,
  type SeedContext,
  type SeedPerson,
  type SeedRow,
  type ServiceSeed,
  seedId,
  seedUuid,
  type TableRows,
  volumeId,
  volumePerson,
  volumeUuid,
} from './seed';
export type { SeedMessage, SeedRequest, SeedTarget } from './seed-protocol';
export { didYouMean, similarNames } from './similar-names';
export {
  type Environment,
  type GeneratedClient,
  type Inside,
  type Logger,
  openStore,
  type PrismaOptions,
  type Statement,
  type Store,
  type StoreOptions,
} from './store';
export { isConnectionError, storeError } from './store-errors';
export { type DatabaseUrl, parseDatabaseUrl, redactUrl, withUrlParts } from './url';
