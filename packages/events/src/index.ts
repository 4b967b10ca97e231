export {
  type Bus,
  type BusOptions,
  type BusStatus,
  type ConsumerStatus,
  type EventSource,
  openBus,
  type RelayOptions,
  type SourceStatus,
  type SubscribeOptions,
} from './bus';
export type { DeadLetter } from './nats/dead-letters';
export {
  type BrokerOperations,
  type EventNumber,
  openBrokerOperations,
  type ReplayStart,
} from './nats/operations';
