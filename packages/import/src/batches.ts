import type { StagedRow } from './postgres/staging';
import { type Reject, type SourceItem, toReject } from './source';
import type { Stage, StageSource } from './stage';

const BATCH_ROWS = 5_000;
/** Rows with long texts make smaller batches, so that memory stays flat. */
const BATCH_CHARACTERS = 8 * 1024 * 1024;

/** Records of a source that are written in one transaction. */
export interface Batch {
  /** The number of records up to the end of this batch. */
  readonly records: number;
  readonly rows: readonly StagedRow[];
  readonly rejects: readonly Reject[];
  /** Whether the source ends here. */
  readonly isLast: boolean;
}

/** Reads a source behind its first `skip` records and maps it, a batch at a time. The last batch may be empty. */
export async function* readBatches(stage: Stage, source: StageSource, skip: number): AsyncGenerator<Batch> {
  let records = 0;
  let batch = new OpenBatch();
  for await (const item of source.read()) {
    records += 1;
    if (records <= skip) continue;
    batch.add(stage, item);
    if (!batch.isFull()) continue;
    const { rows, rejects } = batch;
    batch = new OpenBatch();
    yield { records, rows, rejects, isLast: false };
  }
  const { rows, rejects } = batch;
  yield { records, rows, rejects, isLast: true };
}

class OpenBatch {
  readonly rows: StagedRow[] = [];
  readonly rejects: Reject[] = [];
  private characters = 0;

  add(stage: Stage, item: SourceItem): void {
    if (item.value === undefined) {
      this.rejects.push(item);
      return;
    }
    try {
      for (const row of stage.map(item.value)) {
        this.rows.push({ position: item.position, row });
        for (const value of Object.values(row)) this.characters += value?.length ?? 0;
      }
    } catch (error) {
      this.rejects.push(toReject(error, item.position));
    }
  }

  isFull(): boolean {
    return this.rows.length + this.rejects.length >= BATCH_ROWS || this.characters >= BATCH_CHARACTERS;
  }
}
