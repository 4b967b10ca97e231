import { newId } from '@azora/db-core';
import { idInput, textInput, timeInput } from '@azora/db-core/input';
import { cursorInput, microsOf, pageOf, timeOfMicros } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Health } from './client';
import { readInput } from './errors';
import { $Enums, type LogLevel, type Prisma } from './generated/client';
import { bodyHash, jsonInput, keyInput, requestIdInput } from './input';
import { Conditions, onlyRow, type Row } from './rows';

const MAX_LINES = 10_000;
const MAX_MESSAGE_CHARACTERS = 32_768;
const MAX_PAGE = 1_000;
const DEFAULT_PAGE = 100;

export type LogLine = Prisma.LogModel;

export interface NewLogLine {
  /** INFO when absent. */
  readonly level?: LogLevel;
  /** The name of the service that writes the line. */
  readonly service: string;
  /** 1 to 32768 characters. */
  readonly message: string;
  /** The person whom the line is about. Erasing the person removes the message and the metadata. */
  readonly userId?: string;
  /** Shared by the lines of one request in all services. */
  readonly requestId?: string;
  /** At most 64 KiB of JSON. */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface AppendLogsInput {
  /** 1 to 10000 lines. */
  readonly lines: readonly NewLogLine[];
  /** Repeats of a call with this key append nothing. The key is kept for 7 days. */
  readonly idempotencyKey?: string;
}

export interface ListLogsInput {
  /** Only these levels. */
  readonly levels?: readonly LogLevel[];
  readonly service?: string;
  readonly userId?: string;
  readonly requestId?: string;
  /** Words of the message, as in a web search: `mail -test "rejected a message"`. */
  readonly text?: string;
  /** Lines from this time on. */
  readonly since?: Date;
  /** Lines before this time. */
  readonly until?: Date;
  /** 1 to 1000; 100 when absent. */
  readonly limit?: number;
  /** The `nextCursor` of the previous page. */
  readonly cursor?: string;
}

export interface LogPage {
  /** Newest first. */
  readonly lines: readonly LogLine[];
  /** Null on the last page. */
  readonly nextCursor: string | null;
}

const serviceText = textInput(100);
const level = z.enum($Enums.LogLevel);
const lineInput = z.strictObject({
  level: level.default('INFO'),
  service: serviceText,
  message: textInput(MAX_MESSAGE_CHARACTERS),
  userId: idInput.optional(),
  requestId: requestIdInput.optional(),
  metadata: jsonInput.optional(),
});
const appendLogsInput = z.strictObject({
  lines: z.array(lineInput).min(1).max(MAX_LINES),
  idempotencyKey: keyInput.optional(),
});
const listLogsInput = z.strictObject({
  levels: z.array(level).min(1).optional(),
  service: serviceText.optional(),
  userId: idInput.optional(),
  requestId: requestIdInput.optional(),
  text: textInput(500).optional(),
  since: timeInput.optional(),
  until: timeInput.optional(),
  limit: z.int().min(1).max(MAX_PAGE).default(DEFAULT_PAGE),
  cursor: cursorInput.optional(),
});

/**
 * Appends log lines in their order and returns their number. The database dates them: each line is a microsecond later than the
 * one before. With a key, they are appended once.
 * @throws {SuiteError} `HEALTH.INVALID_INPUT`, `HEALTH.KEY_REUSED`
 */
export async function appendLogs(health: Health, input: AppendLogsInput): Promise<number> {
  const { lines, idempotencyKey = null } = readInput(appendLogsInput, input);
  const hash = idempotencyKey === null ? null : bodyHash(lines);
  const rows = await health.query<{ appended: number }>({
    text: 'SELECT append_logs($1, $2, $3) AS appended',
    values: [JSON.stringify(lines.map((line) => ({ id: newId(), ...line }))), idempotencyKey, hash],
  });
  return onlyRow(rows).appended;
}

/**
 * A page of the log lines that match every given condition, newest first. A search by time reads only the months that it asks for.
 * @throws {SuiteError} `HEALTH.INVALID_INPUT`
 */
export async function listLogs(health: Health, input: ListLogsInput = {}): Promise<LogPage> {
  const { limit, cursor, ...filter } = readInput(listLogsInput, input);
  const conditions = new Conditions(limit + 1)
    .add(filter.levels, (levels) => `level = ANY (${levels}::log_level[])`)
    .add(filter.service, (service) => `service = ${service}`)
    .add(filter.userId, (userId) => `user_id = ${userId}`)
    .add(filter.requestId, (requestId) => `request_id = ${requestId}`)
    .add(filter.text, (text) => `to_tsvector('simple', message) @@ websearch_to_tsquery('simple', ${text})`)
    .add(filter.since, (since) => `created_at >= ${since}::timestamptz`)
    .add(filter.until, (until) => `created_at < ${until}::timestamptz`);
  conditions.add(cursor?.micros, (micros) => {
    const id = conditions.parameter(cursor?.id);
    return `(created_at, id) < (${timeOfMicros(micros)}, ${id})`;
  });
  const found = await health.query<LogRow & { readonly micros: string }>({
    text: `SELECT *, ${microsOf('created_at')} AS micros FROM logs ${conditions.where}
      ORDER BY created_at DESC, id DESC LIMIT $1`,
    values: conditions.values,
  });
  const { rows, nextCursor } = pageOf(found, limit);
  return { lines: rows.map(lineOf), nextCursor };
}

type LogRow = Row<LogLine>;

export function lineOf(row: LogRow): LogLine {
  return {
    id: row.id,
    level: row.level,
    service: row.service,
    message: row.message,
    userId: row.user_id,
    requestId: row.request_id,
    metadata: row.metadata,
    createdAt: row.created_at,
  };
}
