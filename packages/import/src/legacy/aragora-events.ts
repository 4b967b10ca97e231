import { type SourceItem, toReject } from '../source';
import type { Stage, StageRow } from '../stage';
import { count, idFrom, needCount, needed, needText, needTime, object, orElse, text, word } from './columns';
import {
  databasesWith,
  type LegacyDatabase,
  type LegacyStage,
  type LegacyTable,
  readTable,
  rowOf,
} from './legacy-table';

const EVENT: LegacyTable['values'] = {
  legacy: idFrom('id', 'loop_id', 'timestamp'),
  loop_id: needText,
  cycle: needCount,
  event_type: needed(word('cycle_start', 'phase_start', 'task_complete', 'error')),
  event_data: orElse(object, '{}'),
  agent: text,
  timestamp: needTime,
};

/**
 * The events of cycles, which are numbered in their order without gaps, and before them the last number of each cycle, so that the
 * next event of a cycle in use comes behind them.
 */
export function eventStages(databases: readonly LegacyDatabase[]): readonly LegacyStage[] {
  const found = databasesWith(databases, 'stream_events');
  const files = found.flatMap(({ sqlite }) => sqlite.copies);
  const sourcesWith = (name: string, read: () => AsyncIterable<SourceItem>) =>
    found.length === 0 ? [] : [{ name, files, read }];
  const cursors: Stage = {
    name: 'cursors of cycles',
    service: 'debate',
    table: 'stream_cursors',
    key: ['loop_id', 'cycle'],
    columns: ['loop_id', 'cycle', 'last_sequence'],
    newerBy: 'last_sequence',
    sources: sourcesWith('stream_events (last numbers)', () => readCursors(found)),
    map: (record) => [rowOf({ loop_id: text, cycle: count, last_sequence: count }, record)],
  };
  const events: Stage = {
    name: 'events of cycles',
    service: 'debate',
    table: 'stream_events',
    key: ['id'],
    isLinked: true,
    columns: [...Object.keys(EVENT).filter((name) => name !== 'legacy'), 'sequence'],
    keep: ['sequence'],
    sources: sourcesWith('stream_events', () => readEvents(found)),
    map: (record) => [record as StageRow],
  };
  const fields = Object.keys(EVENT);
  return [cursors, events].map((stage) => ({ from: 'stream_events', fields, stage }));
}

/** The rows of the events, with their numbers. */
async function* readEvents(databases: readonly LegacyDatabase[]): AsyncGenerator<SourceItem> {
  const last = new Map<string, number>();
  for (const database of databases) {
    for await (const item of readTable(database, 'stream_events')) {
      const { position, value } = item;
      if (value === undefined) {
        yield item;
        continue;
      }
      try {
        const row = rowOf(EVENT, value);
        const cycle = JSON.stringify([row['loop_id'], row['cycle']]);
        const sequence = (last.get(cycle) ?? 0) + 1;
        last.set(cycle, sequence);
        yield { position, value: { ...row, sequence: String(sequence) } };
      } catch (error) {
        yield toReject(error, position);
      }
    }
  }
}

/** The last number of each cycle. Events that cannot be read are rejects of the events. */
async function* readCursors(databases: readonly LegacyDatabase[]): AsyncGenerator<SourceItem> {
  const last = new Map<string, SourceItem>();
  for await (const { position, value } of readEvents(databases)) {
    if (value === undefined) continue;
    const { loop_id, cycle, sequence } = value;
    last.set(JSON.stringify([loop_id, cycle]), { position, value: { loop_id, cycle, last_sequence: sequence } });
  }
  yield* last.values();
}
