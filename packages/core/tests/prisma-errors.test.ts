import { readFileSync } from 'node:fs';
import path from 'node:path';
import { inspect } from 'node:util';
import { SuiteError } from '../src/errors';
import { storeError } from '../src/store-errors';

/** What the store says for each code of Prisma, alone, without an answer of PostgreSQL. */
const DECIDED: Readonly<Record<string, readonly string[]>> = {
  'DATABASE.ACCESS_DENIED': ['P1000', 'P1003', 'P1010'],
  'DATABASE.TLS_FAILED': ['P1011'],
  'DATABASE.NO_CONNECTION': ['P1001', 'P1002', 'P2024', 'P2037'],
  'DATABASE.CONNECTION_LOST': ['P1008', 'P1017'],
  'DATABASE.TRANSACTION_ENDED': ['P1018'],
  'DATABASE.TRANSACTION_TIMEOUT': ['P2028'],
  'DATABASE.NOT_FOUND': ['P2001', 'P2015', 'P2017', 'P2018', 'P2025'],
  'DATABASE.INVALID_QUERY': [
    ...['P1012', 'P1013', 'P1014', 'P1015', 'P1016', 'P2006', 'P2007', 'P2008', 'P2009', 'P2012', 'P2013', 'P2016'],
    ...['P2019', 'P2026', 'P2029', 'P2030', 'P2033'],
  ],
  'DATABASE.UNREADABLE_RESULT': ['P2005', 'P2023'],
  'DATABASE.FAILED': [
    ...['P1009', 'P2000', 'P2002', 'P2003', 'P2004', 'P2010', 'P2011', 'P2014', 'P2020', 'P2021', 'P2022', 'P2027'],
    ...['P2031', 'P2034', 'P2035', 'P2036', 'P2038', 'P2039'],
  ],
};
const CASES = Object.entries(DECIDED).flatMap(([expected, codes]) => codes.map((code) => [code, expected] as const));

/** A value that Prisma's messages quote. */
const PRIVATE = 'ada@example.org';

const thrownBy = (name: string, facts: object) =>
  Object.assign(new Error(`Invalid \`prisma.user.create()\` invocation:\n\n{ email: "${PRIVATE}" }\n\nA sentence.`), {
    name,
    clientVersion: '7',
    ...facts,
  });

describe('an error of Prisma', () => {
  it.each(CASES)('%s becomes %s', (code, expected) => {
    const error = storeError(thrownBy('PrismaClientKnownRequestError', { code }), {}, 'User.create');

    expect(error).toMatchObject({ code: expected, meta: { statement: 'User.create' }, cause: { code } });
    expect(error).toBeInstanceOf(SuiteError);
    expect(inspect(error, { depth: 9 })).not.toContain(PRIVATE);
  });

  it('has a decision for every code that the installed client can raise', () => {
    const file = path.resolve(__dirname, '../../../node_modules/@prisma/client/runtime/client.js');
    const raised = [...new Set(readFileSync(file, 'utf8').match(/(?<=")P[12]\d{3}(?=")/g))].sort();

    expect(raised.length).toBeGreaterThan(30);
    expect(raised.filter((code) => !CASES.some(([decided]) => decided === code))).toEqual([]);
  });

  it.each([
    ['Unable to start a transaction in the given time.', 'DATABASE.NO_CONNECTION'],
    ['A query cannot be executed on an expired transaction.', 'DATABASE.TRANSACTION_TIMEOUT'],
    [
      'Transaction already closed: A query cannot be executed on a committed transaction.',
      'DATABASE.TRANSACTION_ENDED',
    ],
    ['A query cannot be executed on a transaction that was rolled back.', 'DATABASE.TRANSACTION_ENDED'],
    ['Transaction not found. Transaction ID is invalid.', 'DATABASE.TRANSACTION_ENDED'],
    ['Invalid isolation level: Foo', 'DATABASE.INVALID_QUERY'],
  ])('P2028 with the message %p becomes %s', (message, expected) => {
    const error = Object.assign(new Error(`Transaction API error: ${message}`), { code: 'P2028' });

    expect(storeError(error, {})).toMatchObject({ code: expected });
  });

  it.each([
    ['DatabaseNotReachable', 'DATABASE.NO_CONNECTION'],
    ['ConnectionClosed', 'DATABASE.CONNECTION_LOST'],
    ['TlsConnectionError', 'DATABASE.TLS_FAILED'],
    ['UnsupportedNativeDataType', 'DATABASE.UNREADABLE_RESULT'],
  ])('of raw SQL, of the kind %s, becomes %s', (kind, expected) => {
    const meta = { driverAdapterError: { name: 'DriverAdapterError', cause: { kind } } };

    const error = storeError(thrownBy('PrismaClientKnownRequestError', { code: 'P2010', meta }), {});

    expect(error).toMatchObject({ code: expected });
  });

  it.each([
    ['PrismaClientUnknownRequestError', 'DATABASE.INVALID_QUERY'],
    ['PrismaClientInitializationError', 'DATABASE.FAILED'],
    ['PrismaClientRustPanicError', 'DATABASE.FAILED'],
  ])('of the class %s becomes %s, which shows no argument', (name, expected) => {
    const error = storeError(thrownBy(name, {}), {});

    expect(error).toMatchObject({ code: expected });
    expect(inspect(error, { depth: 9 })).not.toContain(PRIVATE);
  });

  it('of the check of arguments says which one is wrong', () => {
    const error = storeError(thrownBy('PrismaClientValidationError', {}), {});

    expect(error).toMatchObject({ code: 'DATABASE.INVALID_QUERY', why: 'A sentence. Nothing was sent.' });
  });

  it("keeps the driver's own errors, to which Prisma adds its version", () => {
    const ended = Object.assign(new Error('Cannot use a pool after calling end on the pool'), { clientVersion: '7' });
    const bug = Object.assign(new TypeError('not a function'), { clientVersion: '7' });

    expect(storeError(ended, {})).toMatchObject({ code: 'DATABASE.CLOSED', cause: { message: ended.message } });
    expect(storeError(bug, {})).toBe(bug);
  });
});
