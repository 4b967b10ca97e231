export { quoteIdentifier, quoteLiteral, writeRows } from './bulk';
export { capabilitiesOf, type ServerCapabilities } from './capabilities';
export { type DatabaseFault, databaseFault, SuiteError, type SuiteErrorDetails } from './errors';
export { type FaultTable, isConnectionLoss, storeError } from './faults';
export { newId } from './ids';
export { formatMoney, type MoneyInput, parseMoney } from './money';
export type { PoolOptions } from './pool';
export { isRetryable } from './retry';
export {
  type CopyValue,
  defineSeed,
  type SeedBlock,
  type SeedContext,
  type SeedPerson,
  type ServiceSeed,
  seedId,
  seedUuid,
  type TableRows,
  volumeId,
  volumePerson,
  volumeUuid,
} from './seed';
export type { SeedMessage, SeedRequest, SeedTarget } from './seed-protocol';
export {
  type GeneratedClient,
  type Logger,
  openStore,
  type PrismaOptions,
  type Statement,
  type Store,
  type StoreOptions,
} from './store';
export type { Inside } from './transaction';
export { type DatabaseUrl, parseDatabaseUrl, redactUrl, withUrlParts } from './url';
