import { type ConstraintErrors, storeError } from '../src/database-errors';
import { SuiteError } from '../src/errors';

const FAULTS: ConstraintErrors = {
  users_email_key: () => new SuiteError('TEST.TAKEN', 'taken'),
  too_poor: ({ available }) => new SuiteError('TEST.POOR', 'too poor', { meta: { available } }),
};
const thrown = (facts: object) => Object.assign(new Error('Key (email)=(ada@example.org) already exists'), facts);

describe('storeError', () => {
  it("gives a constraint's own error, and that of a rule of our own SQL with its facts", () => {
    expect(storeError(thrown({ code: '23505', constraint: 'users_email_key' }), FAULTS)).toMatchObject({
      code: 'TEST.TAKEN',
    });
    const raised = { code: 'AZ001', message: 'too_poor', detail: '{"available": "2"}' };
    expect(storeError(thrown(raised), FAULTS)).toMatchObject({ code: 'TEST.POOR', meta: { available: '2' } });
  });

  it("keeps the values of rows out of any other database's error", () => {
    const error = storeError(thrown({ code: '23505', constraint: 'other_key' }), FAULTS);

    expect(error).toMatchObject({ code: 'DATABASE.FAILED', meta: { sqlState: '23505', constraint: 'other_key' } });
    const told = error instanceof SuiteError ? [error.message, error.why, error.next, error.meta, error.cause] : [];
    expect(told).toHaveLength(5);
    expect(JSON.stringify(told)).not.toContain('ada@example.org');
  });

  it.each([
    thrown({ code: 'ECONNRESET' }),
    thrown({ code: '57P01' }),
    new Error('Connection terminated unexpectedly'),
    new Error('Query read timeout'),
    // As one of another realm looks to instanceof.
    { code: 'ECONNREFUSED', message: 'connect ECONNREFUSED 127.0.0.1:1' },
    new Error('wrapped', { cause: thrown({ code: 'ECONNREFUSED' }) }),
  ])('says of %p that nobody knows whether it took effect', (error) => {
    expect(storeError(error, FAULTS)).toMatchObject({ code: 'DATABASE.CONNECTION_LOST' });
  });

  it('leaves alone what the database did not throw', () => {
    const bug = new TypeError('not a function');
    const refusal = new SuiteError('TEST.STOP', 'stop');

    expect(storeError(bug, FAULTS)).toBe(bug);
    expect(storeError(refusal, FAULTS)).toBe(refusal);
  });
});
