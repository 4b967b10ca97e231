import { inspect } from 'node:util';
import type { ConstraintErrors } from '../src/database-errors';
import { SuiteError } from '../src/errors';
import { storeError } from '../src/store-errors';

const CONSTRAINT_ERRORS: ConstraintErrors = {
  users_email_key: () => new SuiteError('TEST.TAKEN', 'taken'),
  too_poor: ({ available }) => new SuiteError('TEST.POOR', 'too poor', { meta: { available } }),
};
const thrown = (facts: object) => Object.assign(new Error('Key (email)=(ada@example.org) already exists'), facts);

describe('storeError', () => {
  it('uses the error of the constraint, or of the rule of our own SQL with its facts', () => {
    expect(storeError(thrown({ code: '23505', constraint: 'users_email_key' }), CONSTRAINT_ERRORS)).toMatchObject({
      code: 'TEST.TAKEN',
    });
    const raised = { code: 'AZ001', message: 'too_poor', detail: '{"available": "2"}' };
    expect(storeError(thrown(raised), CONSTRAINT_ERRORS)).toMatchObject({
      code: 'TEST.POOR',
      meta: { available: '2' },
    });
  });

  it('keeps row values out of every other database error', () => {
    const error = storeError(thrown({ code: '23505', constraint: 'other_key' }), CONSTRAINT_ERRORS);

    expect(error).toMatchObject({ code: 'DATABASE.FAILED', meta: { sqlState: '23505', constraint: 'other_key' } });
    const texts = error instanceof SuiteError ? [error.message, error.why, error.next, error.meta, error.cause] : [];
    expect(texts).toHaveLength(5);
    expect(JSON.stringify(texts)).not.toContain('ada@example.org');
  });

  it.each([
    thrown({ code: 'ECONNRESET' }),
    thrown({ code: 'ECONNRESET', syscall: 'read', errno: -104 }),
    thrown({ code: 'EPIPE', syscall: 'write' }),
    thrown({ code: '57P01' }),
    thrown({ code: '08006' }),
    new Error('Connection terminated unexpectedly'),
    new Error('Query read timeout'),
    new Error('wrapped', { cause: thrown({ code: 'P1017' }) }),
  ])('says of %p that the outcome is unknown', (error) => {
    expect(storeError(error, CONSTRAINT_ERRORS)).toMatchObject({
      code: 'DATABASE.CONNECTION_LOST',
      meta: { outcome: 'unknown' },
    });
  });

  it.each([
    // An error of another realm is not an instance of Error here.
    { code: 'ECONNREFUSED', message: 'connect ECONNREFUSED 127.0.0.1:1' },
    thrown({ code: 'ENOTFOUND', syscall: 'getaddrinfo' }),
    thrown({ code: 'EAI_AGAIN', syscall: 'getaddrinfo' }),
    thrown({ code: 'EHOSTUNREACH', syscall: 'connect' }),
    thrown({ code: 'ENETUNREACH', syscall: 'connect' }),
    thrown({ code: '57P03' }),
    thrown({ code: '53300' }),
    new Error('connect ETIMEDOUT 10.0.0.1:5432'),
    new Error('connect ENOENT /tmp/.s.PGSQL.5432'),
    new Error('timeout exceeded when trying to connect'),
    new Error('Connection terminated due to connection timeout'),
    new Error('wrapped', { cause: thrown({ code: 'ECONNREFUSED' }) }),
  ])('says of %p that nothing was sent', (error) => {
    expect(storeError(error, CONSTRAINT_ERRORS)).toMatchObject({
      code: 'DATABASE.NO_CONNECTION',
      meta: { outcome: 'not-sent' },
    });
  });

  it('says that the server rejected the user, the password or the database', () => {
    expect(storeError(thrown({ code: '28P01' }), CONSTRAINT_ERRORS)).toMatchObject({
      code: 'DATABASE.ACCESS_DENIED',
      kind: 'configuration',
      meta: { outcome: 'not-sent', sqlState: '28P01' },
    });
  });

  it.each([
    thrown({ code: 'ECONNRESET', isConnecting: true }),
    Object.assign(new Error('Connection terminated unexpectedly'), { isConnecting: true }),
    Object.assign(new Error('Transaction API error: Unable to start a transaction in the given time.'), {
      code: 'P2028',
    }),
  ])('says of %p, which happened before anything was sent, that nothing was sent', (error) => {
    expect(storeError(error, CONSTRAINT_ERRORS)).toMatchObject({ code: 'DATABASE.NO_CONNECTION' });
  });

  it.each([
    ['22P02', 'invalid input syntax for type integer: "x"ada@example.org"'],
    ['42601', 'syntax error in tsquery: "ada@example.org ("'],
  ])('keeps the value that SQLSTATE %s quotes out of the cause, whatever it contains', (code, message) => {
    const error = storeError(Object.assign(new Error(message), { code }), CONSTRAINT_ERRORS);

    expect(inspect(error, { depth: 5 })).not.toContain('ada@example.org');
  });

  it.each([
    ['57014', 'DATABASE.TIMEOUT'],
    ['55P03', 'DATABASE.TIMEOUT'],
    ['25P04', 'DATABASE.TRANSACTION_TIMEOUT'],
  ])('says of SQLSTATE %s that the statement was rolled back', (code, expected) => {
    expect(storeError(thrown({ code }), CONSTRAINT_ERRORS)).toMatchObject({ code: expected });
  });

  it("names the statement, and keeps PostgreSQL's answer as a cause that quotes no row", () => {
    const detail = 'Key (email)=(ada@example.org) already exists.';
    const refused = Object.assign(new Error('duplicate key value violates unique constraint "x_key"'), {
      ...{ code: '23505', constraint: 'x_key', detail, table: 'users', severity: 'ERROR' },
    });
    const error = storeError(refused, CONSTRAINT_ERRORS, 'register_user');

    expect(error).toMatchObject({
      code: 'DATABASE.FAILED',
      meta: { sqlState: '23505', statement: 'register_user' },
      cause: { code: '23505', table: 'users', constraint: 'x_key', message: refused.message },
    });
    expect(inspect(error, { depth: 5 })).not.toContain('ada@example.org');
    expect(Object.keys(error as object)).not.toContain('cause');
  });

  it("keeps Prisma's arguments and the values that class 22 quotes out of the cause", () => {
    const refused = Object.assign(new Error('Invalid invocation: create({ email: "ada@example.org" })'), {
      code: 'P2010',
      clientVersion: '7',
      meta: {
        driverAdapterError: {
          cause: {
            originalCode: '22P02',
            originalMessage: 'invalid input syntax for type integer: "ada@example.org"',
          },
        },
      },
    });

    const error = storeError(refused, CONSTRAINT_ERRORS);

    expect(error).toMatchObject({ code: 'DATABASE.FAILED', cause: { code: '22P02' } });
    expect(inspect(error, { depth: 5 })).not.toContain('ada@example.org');
  });

  it('returns errors that did not come from the database unchanged', () => {
    const bug = new TypeError('not a function');
    const refusal = new SuiteError('TEST.STOP', 'stop');

    expect(storeError(bug, CONSTRAINT_ERRORS)).toBe(bug);
    expect(storeError(refusal, CONSTRAINT_ERRORS)).toBe(refusal);
  });
});
