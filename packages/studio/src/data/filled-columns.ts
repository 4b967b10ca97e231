import type { FilledColumn } from '../api/answers';

type Values = Readonly<Record<string, unknown>>;

/** Adds to a new row what the generated client adds: the database itself has no default for these columns. */
export function withFilledColumns(
  table: string,
  row: Values,
  filled: readonly FilledColumn[],
): Record<string, unknown> {
  const missing = filled.filter((it) => it.table === table && (row[it.column] === undefined || row[it.column] === ''));
  return { ...row, ...Object.fromEntries(missing.map(({ column, by }) => [column, madeValue(by)])) };
}

/** Adds the time of an update, unless the person set it. */
export function withUpdateTimes(table: string, changes: Values, filled: readonly FilledColumn[]): Values {
  const missing = filled.filter((it) => it.table === table && it.by === 'time' && !(it.column in changes));
  return { ...changes, ...Object.fromEntries(missing.map(({ column, by }) => [column, madeValue(by)])) };
}

function madeValue(by: FilledColumn['by']): string {
  if (by === 'uuid') return crypto.randomUUID();
  return by === 'cuid' ? newId() : new Date().toISOString();
}

const RANDOM_DIGITS = 16;
const DIGITS = 36;

/** An id in the shape of the services' own: "c", the time, and random characters. */
function newId(): string {
  const random = [...crypto.getRandomValues(new Uint32Array(RANDOM_DIGITS))].map((value) =>
    (value % DIGITS).toString(DIGITS),
  );
  return `c${Date.now().toString(DIGITS).padStart(8, '0').slice(-8)}${random.join('')}`;
}
