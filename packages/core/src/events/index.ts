export type { CatalogEvent, EventCatalog } from './catalog';
export { CLOUD_EVENT_SCHEMA, type CloudEvent, readCloudEvent, type StoredEvent, toCloudEvent } from './cloud-event';
export { type Consumer, type ConsumerInput, defineConsumer } from './consumer';
export { defineEvent, type EventType, type EventTypeInput } from './event-type';
export { type EventStore, type Handled, handleEvents } from './handle-events';
export { type EventTransaction, type PublishOptions, publish } from './publish';
