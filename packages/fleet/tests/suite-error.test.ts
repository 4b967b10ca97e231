/** @server none */
import { SuiteError } from '@azora/db-core';
import { toSuiteError } from '../src/operations/fleet';

const thrown = (message: string, facts: object = {}) => Object.assign(new Error(message), facts);

describe('toSuiteError', () => {
  it.each([
    // A socket that was reset reports it to the reader or to the writer.
    thrown('read ECONNRESET', { code: 'ECONNRESET', syscall: 'read' }),
    thrown('write ECONNRESET', { code: 'ECONNRESET', syscall: 'write' }),
    thrown('write EPIPE', { code: 'EPIPE', syscall: 'write' }),
    thrown('Connection terminated unexpectedly'),
    thrown('terminating connection due to administrator command', { code: '57P01' }),
  ])('reports a lost connection with an unknown outcome: %p', (error) => {
    expect(toSuiteError(error)).toMatchObject({
      code: 'DATABASE.CONNECTION_LOST',
      why: `${error.message}. The statement may or may not have been committed.`,
      meta: { outcome: 'unknown' },
    });
  });

  it.each([
    thrown('connect ENOENT /tmp/.s.PGSQL.5432', { code: 'ENOENT', syscall: 'connect' }),
    thrown('getaddrinfo ENOTFOUND db', { code: 'ENOTFOUND', syscall: 'getaddrinfo' }),
    thrown('Client has encountered a connection error and is not queryable'),
    thrown('timeout exceeded when trying to connect'),
    thrown('the database system is starting up', { code: '57P03' }),
  ])('reports an unreachable server when nothing was sent: %p', (error) => {
    expect(toSuiteError(error)).toMatchObject({
      code: 'SERVER.UNREACHABLE',
      why: `${error.message}. Nothing was sent.`,
      meta: { outcome: 'not-sent' },
    });
  });

  it('leaves out an empty message', () => {
    const { code, why } = toSuiteError(thrown('', { code: 'ECONNREFUSED' }));

    expect({ code, why }).toEqual({ code: 'SERVER.UNREACHABLE', why: 'Nothing was sent.' });
  });

  it("reports PostgreSQL's error with its SQLSTATE, keeps a SuiteError, and reports anything else as a bug", () => {
    const rejected = thrown('relation "x" does not exist', { code: '42P01' });
    const own = new SuiteError('TEST.OWN', 'own');
    const missing = thrown("ENOENT: no such file or directory, open 'x'", { code: 'ENOENT', syscall: 'open' });

    expect(toSuiteError(rejected)).toMatchObject({ code: 'DATABASE.FAILED', meta: { sqlState: '42P01' } });
    expect(toSuiteError(own)).toBe(own);
    expect(toSuiteError(missing)).toMatchObject({ code: 'INTERNAL', kind: 'bug', cause: missing });
  });

  it('shows no value of a row, neither in the message nor in the cause', () => {
    const error = thrown('invalid input syntax for type integer: "s3cret"', {
      code: '22P02',
      detail: 's3cret',
      where: 's3cret',
    });

    const known = toSuiteError(error);

    const { cause } = known;
    const shown = JSON.stringify([
      known.message,
      known.why,
      { ...(cause as object) },
      cause instanceof Error && cause.message,
    ]);
    expect(shown).not.toContain('s3cret');
  });
});
