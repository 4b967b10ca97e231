/** @server none */
import { findDatabaseError } from '../src/database-errors';
import { SuiteError } from '../src/errors';

describe('findDatabaseError', () => {
  it('reads an error of pg', () => {
    const thrown = Object.assign(new Error('duplicate key'), {
      code: '23505',
      constraint: 'users_email_key',
      detail: 'Key (email)=(a@b.c)',
    });

    expect(findDatabaseError(thrown)).toEqual({
      sqlState: '23505',
      message: 'duplicate key',
      constraint: 'users_email_key',
      facts: {},
    });
  });

  it('finds the constraint where Prisma 7 hides it, without row values', () => {
    const thrown = Object.assign(new Error('Unique constraint failed'), {
      code: 'P2002',
      meta: {
        driverAdapterError: {
          cause: { originalCode: '23505', originalMessage: 'duplicate key', constraint: { index: 'users_email_key' } },
        },
      },
    });

    expect(findDatabaseError(thrown)).toEqual({
      sqlState: '23505',
      message: 'duplicate key',
      constraint: 'users_email_key',
      facts: {},
    });
  });

  it("recognizes RAISE EXCEPTION, and not Prisma's own codes", () => {
    const raised = Object.assign(new Error('no'), { code: 'P0001' });

    expect(findDatabaseError(raised)?.sqlState).toBe('P0001');
    expect(findDatabaseError(Object.assign(new Error('no'), { code: 'P1001' }))).toBeUndefined();
  });

  it('reads the rule and the facts that our own SQL raised, through pg and through Prisma', () => {
    const raised = { code: 'AZ001', message: 'insufficient_funds', detail: '{"available": "1.5"}' };
    const wrapped = Object.assign(new Error('Raw query failed'), {
      code: 'P2010',
      meta: { driverAdapterError: { cause: { kind: 'postgres', ...raised } } },
    });
    const fault = { sqlState: 'AZ001', constraint: 'insufficient_funds', facts: { available: '1.5' } };

    expect(findDatabaseError(Object.assign(new Error(raised.message), raised))).toMatchObject(fault);
    expect(findDatabaseError(wrapped)).toMatchObject(fault);
  });

  it('reads no facts from a DETAIL that is not JSON, which any SQL can raise', () => {
    const raised = Object.assign(new Error('insufficient_funds'), { code: 'AZ001', detail: 'not {json' });

    expect(findDatabaseError(raised)).toMatchObject({ constraint: 'insufficient_funds', facts: {} });
  });

  it('looks through causes', () => {
    const thrown = new SuiteError('X.Y', 'wrapped', { cause: Object.assign(new Error('gone'), { code: '57P01' }) });

    expect(findDatabaseError(thrown)?.sqlState).toBe('57P01');
  });

  it.each([
    undefined,
    null,
    'text',
    new Error('plain'),
    Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }),
    ...['EPERM', 'EBUSY', 'EROFS', 'EXDEV', 'EPIPE'].map((code) => Object.assign(new Error('errno'), { code })),
    Object.assign(new Error('errno'), { code: 'ABCDE', syscall: 'open' }),
  ])('is undefined for %p', (thrown) => {
    expect(findDatabaseError(thrown)).toBeUndefined();
  });
});
