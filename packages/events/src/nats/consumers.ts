import type { Consumer, EventTransaction } from '@azora/db-core/events';
import type { Broker } from './broker';
import { type ConsumerRecord, consumerSubject } from './lanes';
import { readRecord, writeRecord } from './state';
import { ensureEventStream, ensureStateStream, eventStream } from './streams';

/** The services whose events a consumer gets. */
export function sourcesOf(types: readonly string[]): readonly string[] {
  return [...new Set(types.map((type) => type.slice(0, type.indexOf('.'))))];
}

/** Whether two versions of a consumer list the same types. */
export function hasTypes({ types }: Pick<ConsumerRecord, 'types'>, wanted: readonly string[]): boolean {
  return types.toSorted().join() === wanted.toSorted().join();
}

/** Registers a consumer. In a stream that is new to it, it begins with the oldest event or with the next one. */
export async function joinConsumer<Transaction extends EventTransaction>(
  broker: Broker,
  { name, types, maxAttempts }: Consumer<Transaction>,
  from: 'start' | 'now',
): Promise<void> {
  await ensureStateStream(broker);
  const ends: Record<string, number> = {};
  for (const source of sourcesOf(types)) {
    await ensureEventStream(broker, source);
    const { state } = await broker.streams.streams.info(eventStream(source));
    ends[source] = from === 'start' ? 0 : state.last_seq;
  }
  for (;;) {
    const record = await readRecord<ConsumerRecord>(broker, consumerSubject(name));
    const known = record?.value;
    const isSame = known !== undefined && hasTypes(known, types) && known.maxAttempts === maxAttempts;
    if (isSame) return;
    const joined: ConsumerRecord = { name, types, maxAttempts, start: { ...ends, ...known?.start } };
    if ((await writeRecord(broker, consumerSubject(name), joined, record?.sequence ?? 0)) !== undefined) return;
  }
}
