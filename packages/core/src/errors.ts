export interface SuiteErrorDetails {
  /** What was found, in one sentence. */
  readonly why?: string;
  /** What to do about it. */
  readonly next?: string;
  /** Facts for programs: names, counts, ids; never a secret, a URL or a row's value. */
  readonly meta?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** The one error of the suite: a stable code `AREA.REASON`, what is wrong, why, and what to do next. */
export class SuiteError extends Error {
  override readonly name = 'SuiteError';
  readonly code: string;
  readonly why: string | undefined;
  readonly next: string | undefined;
  readonly meta: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, details: SuiteErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.why = details.why;
    this.next = details.next;
    this.meta = details.meta ?? {};
  }
}

/** The facts of a database error that may be shown: PostgreSQL's `detail` and `where` carry row values and are left out. */
export interface DatabaseFault {
  readonly sqlState: string;
  readonly message: string;
  /** The constraint that refused, or the rule of our own SQL. */
  readonly constraint: string | undefined;
  /** What a rule of our own SQL told: the JSON object in its DETAIL. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/**
 * The SQLSTATE that the functions in our migrations raise, with the name of the rule as the message (Prisma's driver passes
 * on no constraint of an error that it does not know) and facts as JSON in DETAIL. No other software uses the class.
 */
const OWN_FAULT = 'AZ001';

/**
 * Finds PostgreSQL's own error in what `pg` or Prisma threw, by shape: Prisma 7 hides it under
 * `meta.driverAdapterError.cause`, and wraps what it does not know in a cause.
 */
export function databaseFault(error: unknown): DatabaseFault | undefined {
  for (let found = error, depth = 0; isRecord(found) && depth < 6; depth += 1) {
    const state = found['originalCode'] ?? found['code'];
    // Prisma's own codes, P1000 and up, look like SQLSTATEs; P0001, RAISE EXCEPTION, is one.
    if (typeof state === 'string' && /^[0-9A-Z]{5}$/.test(state) && !/^P[1-9]\d{3}$/.test(state)) {
      return {
        sqlState: state,
        message: String(found['originalMessage'] ?? found['message'] ?? ''),
        ...(state === OWN_FAULT
          ? { constraint: String(found['message']), facts: factsOf(found['detail']) }
          : { constraint: constraintOf(found['constraint']), facts: {} }),
      };
    }
    const meta = found['meta'];
    found = isRecord(meta) && meta['driverAdapterError'] !== undefined ? meta['driverAdapterError'] : found['cause'];
  }
  return undefined;
}

/** An error and its causes, by shape, for an error may be of another realm: its code or '', and its message. */
export function* causesOf(error: unknown): Generator<{ readonly code: string; readonly message: string }> {
  for (let found = error, depth = 0; isRecord(found) && depth < 6; depth += 1, found = found['cause']) {
    yield { code: String(found['code'] ?? ''), message: String(found['message'] ?? '') };
  }
}

function constraintOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return isRecord(value) && typeof value['index'] === 'string' ? value['index'] : undefined;
}

function factsOf(detail: unknown): Readonly<Record<string, unknown>> {
  const facts: unknown = typeof detail === 'string' ? JSON.parse(detail) : {};
  return isRecord(facts) ? facts : {};
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
