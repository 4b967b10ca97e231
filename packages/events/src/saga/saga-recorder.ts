import type { SagaStore } from './inspect-sagas';
import type { StepOutcome } from './run-step';
import type { SagaRow } from './saga-state';

/** An outcome with the version of the saga that the worker owns. */
export interface RecordedOutcome {
  readonly saga: SagaRow;
  readonly ended: StepOutcome;
  /** Of the next step; null if it has none. */
  readonly deadlineMs: number | null;
}

interface Waiting extends RecordedOutcome {
  readonly resolve: (saga: SagaRow | undefined) => void;
  readonly reject: (error: unknown) => void;
}

export interface RecorderOptions {
  readonly owner: string;
  readonly leaseMs: number;
  /** Whether the worker continues the sagas that it records. */
  readonly goesOn: () => boolean;
}

/** Bounds the size of one statement. */
const MAX_TOGETHER = 200;

/** Records the outcomes of a worker's steps: those that end while a statement is running go together in the next one. */
export class SagaRecorder {
  private readonly waiting: Waiting[] = [];
  private isRunning = false;

  constructor(
    private readonly store: SagaStore,
    private readonly options: RecorderOptions,
  ) {}

  /**
   * Records an outcome and returns the saga as it is then: undefined if the worker has lost it, because its lease had ended and another
   * worker has taken it. Throws what the statement throws; then the saga comes back at the end of its lease.
   */
  record(outcome: RecordedOutcome): Promise<SagaRow | undefined> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ ...outcome, resolve, reject });
      if (!this.isRunning) this.run();
    });
  }

  private run(): void {
    this.isRunning = true;
    // Steps that end in the same turn of the event loop go together.
    setImmediate(async () => {
      while (this.waiting.length > 0) await this.recordTogether(this.waiting.splice(0, MAX_TOGETHER));
      this.isRunning = false;
    });
  }

  private async recordTogether(outcomes: readonly Waiting[]): Promise<void> {
    const { owner, leaseMs, goesOn } = this.options;
    const body = outcomes.map(({ saga: { id, version }, ended, deadlineMs }) => ({
      id,
      version,
      ...ended,
      deadlineMs,
    }));
    try {
      const rows = await this.store.query<SagaRow>({
        text: 'SELECT * FROM record_sagas($1, $2, $3, $4)',
        values: [owner, JSON.stringify(body), goesOn(), leaseMs],
      });
      const byId = new Map(rows.map((row) => [row.id, row]));
      for (const { saga, resolve } of outcomes) resolve(byId.get(saga.id));
    } catch (error) {
      for (const { reject } of outcomes) reject(error);
    }
  }
}
