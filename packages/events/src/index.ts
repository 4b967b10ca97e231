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
  type BrokerReplay,
  type EventNumber,
  openBrokerOperations,
  type ReplayStart,
} from './nats/operations';
export type { BrokerConsumer, BrokerSource, BrokerState } from './nats/status';
export { openBus } from './open-bus';
export {
  defineSaga,
  type SagaContext,
  type SagaDefinition,
  type SagaResults,
  type SagaStep,
  type SagaType,
  type UndoContext,
} from './saga/define-saga';
export {
  type FindSagaInput,
  findSaga,
  type ListSagasInput,
  listSagas,
  type RetrySagaInput,
  retrySaga,
  type SagaPage,
  type SagaStore,
} from './saga/inspect-sagas';
export { type RunSagasOptions, runSagas } from './saga/run-sagas';
export { SAGA_TRANSITIONS, type Saga, type SagaState } from './saga/saga-state';
export { type StartedSaga, type StartSagaInput, startSaga } from './saga/start-saga';
