// A relay or a worker of a consumer in a process of its own, which a test can kill. programs.ts starts it with its task as JSON.
const { setTimeout: sleep } = require('node:timers/promises');
const { defineConsumer } = require('@azora/db-core/events');
const { openBus } = require('@azora/db-events');

const task = JSON.parse(process.argv[2]);
const { openFamily } = require(task.storePackage);
const logger = { warn: (message, fields) => process.connected && process.send({ kind: 'log', message, fields }) };
const ending = new AbortController();
/** Resolves the handler that waits, when the test says so. */
let proceed = () => undefined;

const RECORD = 'SELECT record_effect($1, $2::uuid, $3, $4::bigint)::text AS version';

function consumerOf({ name, types, failsOnce = [], waitsAt, takesMs = 0 }) {
  const failed = new Set();
  return defineConsumer({
    name,
    types,
    handle: async (tx, { id, subject, data }) => {
      const place = `${subject} ${data.n}`;
      if (failsOnce.includes(place) && !failed.has(place)) {
        failed.add(place);
        throw new Error('the test lets this attempt fail');
      }
      if (takesMs > 0) await sleep(takesMs);
      await tx.$queryRawUnsafe(RECORD, name, id, subject, data.n);
      if (place !== waitsAt) return;
      const released = new Promise((resolve) => {
        proceed = resolve;
      });
      process.send({ kind: 'waiting' });
      await released;
    },
  });
}

async function main() {
  process.on('message', (message) => (message === 'stop' ? ending.abort() : proceed()));
  process.on('disconnect', () => process.exit(1));
  const bus = openBus({ url: task.bus, pollMs: task.pollMs, logger });
  const store = openFamily({ url: task.url, logger });
  process.send({ kind: 'started' });
  const { signal } = ending;
  if (task.consumers === undefined) await bus.relay(store, { service: 'family', signal });
  else {
    const subscribe = (consumer) => bus.subscribe(store, consumerOf(consumer), { signal, batch: task.batch });
    await Promise.all(task.consumers.map(subscribe));
  }
  await bus.close();
  await store.close();
  process.removeAllListeners('disconnect');
  process.disconnect();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
