/** The position of a record in the source. */
export interface Position {
  /** Relative to the folder of the import. */
  readonly file: string;
  /** From 1, in the order of the file or table. */
  readonly record: number;
  readonly line?: number;
  /** The offset of the first byte of the record, or of the error in it. */
  readonly byte?: number;
  /** The table of a database file. */
  readonly table?: string;
}

/** Why a record was not imported. */
export type RejectCode =
  | 'BROKEN_REFERENCE'
  | 'CONFLICT'
  | 'DUPLICATE_ID'
  | 'INVALID_CSV'
  | 'INVALID_JSON'
  | 'INVALID_UTF8'
  | 'INVALID_VALUE'
  | 'NOT_AN_OBJECT'
  | 'TOO_LONG';

/** A record that was not imported. The reason never holds a value of the record, which may be personal. */
export interface Reject {
  readonly position: Position;
  readonly code: RejectCode;
  readonly reason: string;
}

export type LegacyRecord = Readonly<Record<string, unknown>>;

/** A record of the source, or the reason why there is none at its position. */
export type SourceItem =
  | { readonly position: Position; readonly value: LegacyRecord }
  | (Reject & { readonly value?: undefined });

/** Thrown by readers and mappings for one record; the import continues with the next one. */
export class Rejection extends Error {
  override readonly name = 'Rejection';

  constructor(
    readonly code: RejectCode,
    reason: string,
    /** The offset of the error from the beginning of the record, in bytes. */
    readonly offset?: number,
  ) {
    super(reason);
  }
}

/** The reject of a record that a function rejected, or that has too many levels for it; any other error is thrown again. */
export function toReject(error: unknown, position: Position): Reject {
  if (isStackOverflow(error)) return { position, code: 'INVALID_VALUE', reason: 'The record has too many levels' };
  if (!(error instanceof Rejection)) throw error;
  const { code, message, offset } = error;
  const byte = offset === undefined || position.byte === undefined ? position.byte : position.byte + offset;
  return { position: byte === undefined ? position : { ...position, byte }, code, reason: message };
}

/** `JSON.parse` accepts any depth, and functions that walk through the value call themselves at each level. */
function isStackOverflow(error: unknown): boolean {
  return error instanceof RangeError && error.message.includes('call stack');
}
