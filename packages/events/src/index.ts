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
