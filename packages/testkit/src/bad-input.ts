import type { TestDatabase } from './database';

/** Values with what they are called in the failure of a test; with the code of their error, if it is not the one for invalid input. */
export type BadValues = readonly (readonly [what: string, value: unknown, code?: string | undefined])[];

const TEXTS: BadValues = [
  ['1 MB of text', 'x'.repeat(1_000_000)],
  ['a NUL byte', 'a\0b'],
  ['half of a surrogate pair', 'a\ud800b'],
  ['an empty string', ''],
  ['blanks', '  '],
  ['a number', 7],
  ['null', null],
  ['an object', { toString: () => 'x' }],
];

const NUMBERS: BadValues = [
  ['NaN', Number.NaN],
  ['infinity', Number.POSITIVE_INFINITY],
  ['1e308', 1e308],
  ['text', '5'],
  ['a bigint', 5n],
  ['null', null],
];

const COUNTS: BadValues = [...NUMBERS, ['-1', -1], ['a fraction', 1.5], ['2^53', 2 ** 53]];

/** An array in an array, and so on. */
function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level += 1) value = [value];
  return value;
}

function cyclic(): object {
  const value: Record<string, unknown> = {};
  value['itself'] = value;
  return value;
}

/** What fields of a kind reject. */
export const BAD = {
  texts: TEXTS,
  /** Of fields that may be null. */
  textsOrNull: TEXTS.filter(([what]) => what !== 'null'),
  ids: [...TEXTS, ['SQL', "'; DROP TABLE outbox; --"], ['a line feed', 'a\n']] as BadValues,
  choices: [
    ['another word', 'no such choice'],
    ['a name of JavaScript', 'constructor'],
    ['an empty string', ''],
    ['a number', 1],
    ['null', null],
  ] as BadValues,
  flags: [
    ['text', 'yes'],
    ['a number', 1],
    ['null', null],
  ] as BadValues,
  counts: COUNTS,
  /** Counts that begin with 1. */
  ordinals: [...COUNTS, ['0', 0]] as BadValues,
  /** Of numbers from 0 to 1. */
  shares: [...NUMBERS, ['-0.1', -0.1], ['1.1', 1.1]] as BadValues,
  limits: [0, -1, 1.5, 10_001, Number.NaN, '5', null].map((value) => [String(value), value]) as BadValues,
  cursors: [
    ...TEXTS,
    ['a time before PostgreSQL', Buffer.from('-999999999999999999 1').toString('base64url')],
  ] as BadValues,
  times: [
    ['text', '2026-01-01'],
    ['no time', new Date(Number.NaN)],
    ['the year 0', new Date('0000-06-01T00:00:00Z')],
    ['the year 275760', new Date(8.64e15)],
    ['a number', 0],
    ['null', null],
  ] as BadValues,
  objects: [
    ['a list', []],
    ['text', 'x'],
    ['a NUL byte', { a: 'b\0' }],
    ['a NUL byte in a name', { 'a\0': 1 }],
    ['half of a surrogate pair', { a: ['\udc00'] }],
    ['2,500 levels', { a: nested(2_500) }],
    ['30,000 levels', { a: nested(30_000) }],
    ['itself', cyclic()],
    ['200 KB', { a: 'x'.repeat(200_000) }],
  ] as BadValues,
  amounts: [
    ['a negative amount', '-1'],
    ['an object', {}],
    ['a bigint', 1n],
    ['no Decimal', { toFixed: 1, s: 1, e: 1 }],
    ['1 MB of digits', '1'.repeat(1_000_000)],
    ['null', null],
    ['a JavaScript number', 1.5, 'MONEY.NOT_DECIMAL'],
    ['infinity', 'Infinity', 'MONEY.NOT_DECIMAL'],
    ['an exponent', '1e5', 'MONEY.NOT_DECIMAL'],
    ['9 decimals', '0.000000001', 'MONEY.TOO_PRECISE'],
    ['11 digits', '10000000000', 'MONEY.TOO_LARGE'],
  ] as BadValues,
} as const;

type Fields = Readonly<Record<string, unknown>>;

/** A function of a store with valid input, and invalid values of its fields. */
export type BadCall<Store> = readonly [
  operation: (store: Store, input: never) => Promise<unknown>,
  good: Fields,
  bad: Readonly<Record<string, BadValues>>,
];

/** Each invalid element of a list, named by its field. */
export function badElements(good: Fields, bad: Readonly<Record<string, BadValues>>): BadValues {
  return [
    ['no list', good],
    ['null', null],
    ['an unknown field', [{ ...good, stranger: 1 }]],
    ...Object.entries(bad).flatMap(([field, values]) =>
      values.map(([what, value, code]) => [`${field} with ${what}`, [{ ...good, [field]: value }], code] as const),
    ),
  ];
}

/** The values of invalid input that do not cause the error of the call. */
export async function acceptedInput<Store>(
  store: Store,
  code: string,
  [operation, good, bad]: BadCall<Store>,
): Promise<readonly string[]> {
  const wrong: string[] = [];
  for (const [field, values] of Object.entries({ ...bad, stranger: [['a field', 1]] as BadValues })) {
    for (const [what, value, otherCode] of values) {
      const expected = otherCode ?? `${code} ${field === 'stranger' ? 'input' : field}`;
      const ended = await operation(store, { ...good, [field]: value } as never).then(
        () => 'accepted',
        (error) => (otherCode === undefined ? `${error.code} ${error.meta?.fields}` : error.code),
      );
      if (ended !== expected) wrong.push(`${field} with ${what}: ${ended}`);
    }
  }
  return wrong;
}

/** How a call with its valid input ends: the code of its error, or `done`. If that is the code of invalid input, the call tests nothing. */
export async function outcomeOfGood<Store>(store: Store, [operation, good]: BadCall<Store>): Promise<string> {
  return operation(store, good as never).then(
    () => 'done',
    (error) => String(error.code ?? error),
  );
}

/** Every row of a database by its table, to see that nothing has changed. */
export async function rowsOf(db: TestDatabase): Promise<unknown> {
  const tables = await db.admin(
    `SELECT quote_ident(relname) AS name FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1`,
  );
  const columns = tables.map(
    ({ name }) => `(SELECT jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)::text) FROM ${name} AS t) AS ${name}`,
  );
  return db.admin(`SELECT ${columns.join(', ')}`);
}
