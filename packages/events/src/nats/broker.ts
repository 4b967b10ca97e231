import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { BrokerUrl } from './broker-url';
import { brokerError } from './errors';

/** A connection to NATS with JetStream. It is opened again by itself after every loss. */
export interface Broker {
  readonly connection: NatsConnection;
  readonly streams: JetStreamManager;
  readonly publisher: JetStreamClient;
  /** How many copies of its own streams the bus creates. */
  readonly replicas: number;
}

/** Gives the connection of a bus; the first call opens it. */
export interface BrokerConnection {
  /** @throws {SuiteError} `EVENTS.BROKER_UNREACHABLE`, `EVENTS.BROKER_DENIED` */
  open(): Promise<Broker>;
  close(): Promise<void>;
}

/** The longest wait for an answer of the broker. */
export const ANSWER_TIMEOUT_MS = 5_000;
const RECONNECT_MS = 100;
const RECONNECT_JITTER_MS = 400;
/** A connection that does not answer for two of these is opened again: a partitioned network closes nothing. */
const PING_MS = 5_000;

/** The connection of a bus. The libraries are loaded when it is opened, so a bus in PostgreSQL does not need them. */
export function brokerConnection(url: BrokerUrl): BrokerConnection {
  let opening: Promise<Broker> | undefined;
  const open = (): Promise<Broker> => {
    opening ??= connectBroker(url).catch((error: unknown) => {
      opening = undefined;
      throw brokerError(error);
    });
    return opening;
  };
  return {
    open,
    close: async () => {
      const broker = await opening?.catch(() => undefined);
      await broker?.connection.close();
    },
  };
}

async function connectBroker({ servers, credentials, isTls, replicas }: BrokerUrl): Promise<Broker> {
  const [{ connect }, { jetstream, jetstreamManager }] = await Promise.all([
    import('@nats-io/transport-node'),
    import('@nats-io/jetstream'),
  ]);
  const connection = await connect({
    ...credentials,
    ...(isTls ? { tls: {} } : {}),
    servers: [...servers],
    name: 'azora-events',
    timeout: ANSWER_TIMEOUT_MS,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_MS,
    reconnectJitter: RECONNECT_JITTER_MS,
    pingInterval: PING_MS,
    maxPingOut: 2,
  });
  try {
    const options = { timeout: ANSWER_TIMEOUT_MS };
    const streams = await jetstreamManager(connection, options);
    return { connection, streams, publisher: jetstream(connection, options), replicas };
  } catch (error) {
    await connection.close();
    throw error;
  }
}
