/**
 * Says who has to act: the caller (`usage`), the person who set up the machine (`configuration`), an operator or nobody
 * (`failure`: the same call may succeed later), the owner of the data that a check examined (`finding`), or the developers
 * of the suite (`bug`). The command line derives its exit code from it.
 */
export type ErrorKind = 'usage' | 'configuration' | 'failure' | 'finding' | 'bug';

export interface SuiteErrorDetails {
  /** `failure` when absent. */
  readonly kind?: ErrorKind;
  /** The reason, in full sentences. */
  readonly why?: string;
  /** The next step, as an action that the reader can type or do. */
  readonly next?: string;
  /** Facts for programs: names, counts, ids; never a secret, a URL or a row's value. */
  readonly meta?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** The one error class of the suite: a stable code `AREA.REASON`, a message, the reason, and the next step. */
export class SuiteError extends Error {
  override readonly name = 'SuiteError';
  readonly code: string;
  readonly kind: ErrorKind;
  readonly why: string | undefined;
  readonly next: string | undefined;
  readonly meta: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, details: SuiteErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.kind = details.kind ?? 'failure';
    this.why = details.why;
    this.next = details.next;
    this.meta = details.meta ?? {};
  }
}

/** Whether a value is an object whose properties can be read. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
