export type {
  Bus,
  BusOptions,
  BusStatus,
  ConsumerStatus,
  EventSource,
  RelayOptions,
  SourceStatus,
  SubscribeOptions,
} from './bus';
export type { DeadLetter } from './nats/dead-letters';
export {
  type BrokerOperations,
  type EventNumber,
  openBrokerOperations,
  type ReplayStart,
} from './nats/operations';
export { openBus } from './open-bus';
