import { SuiteError } from '@azora/db-core';
import { toSuiteError } from '../src/operations/fleet';

const thrown = (message: string, facts: object = {}) => Object.assign(new Error(message), facts);

describe('toSuiteError', () => {
  it.each([
    // A reset socket fails the next read or the next write.
    thrown('read ECONNRESET', { code: 'ECONNRESET', syscall: 'read' }),
    thrown('write ECONNRESET', { code: 'ECONNRESET', syscall: 'write' }),
    thrown('write EPIPE', { code: 'EPIPE', syscall: 'write' }),
    thrown('connect ENOENT /tmp/.s.PGSQL.5432', { code: 'ENOENT', syscall: 'connect' }),
    thrown('Connection terminated unexpectedly'),
    thrown('Client has encountered a connection error and is not queryable'),
    thrown('terminating connection due to administrator command', { code: '57P01' }),
  ])('turns it into a lost connection: %p', (error) => {
    expect(toSuiteError(error)).toMatchObject({
      code: 'SERVER.CONNECTION_LOST',
      why: `${error.message}.`,
      cause: error,
    });
  });

  it('gives no reason for an error without a message', () => {
    const { code, why } = toSuiteError(thrown('', { code: 'ECONNREFUSED' }));

    expect({ code, why }).toEqual({ code: 'SERVER.CONNECTION_LOST', why: undefined });
  });

  it("keeps the SQLSTATE of PostgreSQL's errors, returns the suite's own errors, and reports others as bugs", () => {
    const refusal = thrown('relation "x" does not exist', { code: '42P01' });
    const own = new SuiteError('TEST.OWN', 'own');
    const missing = thrown("ENOENT: no such file or directory, open 'x'", { code: 'ENOENT', syscall: 'open' });

    expect(toSuiteError(refusal)).toMatchObject({ code: 'DATABASE.FAILED', meta: { sqlState: '42P01' } });
    expect(toSuiteError(own)).toBe(own);
    expect(toSuiteError(missing)).toMatchObject({ code: 'INTERNAL', cause: missing });
  });
});
