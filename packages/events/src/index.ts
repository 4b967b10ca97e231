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
export { openBus } from './open-bus';
