/** @server none */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';
import { NOTIFICATION_ERROR_CODES, type NotificationErrorCode } from '../src';
import { CONSTRAINT_ERRORS } from '../src/errors';

/** What the facts of every rule may hold; a time that is missing cannot be shown. */
const FACTS = { expiredAt: '2026-01-01T00:00:00+00:00' };

describe('the error codes of notification', () => {
  const errors = Object.values(CONSTRAINT_ERRORS).map((errorOf) => errorOf(FACTS));

  it('are those of the errors that the database can cause, sorted', () => {
    expect([...new Set(errors.map(({ code }) => code))].sort()).toEqual([...NOTIFICATION_ERROR_CODES]);
  });

  it('have the kind that docs/errors.md lists', () => {
    const text = readFileSync(path.join(repositoryRoot(), 'docs/errors.md'), 'utf8');
    const listed = new Map(
      [...text.matchAll(/^\| .*`(NOTIFICATION\.[A-Z_]+)` \| .* \| (\w+) \|$/gm)].map(
        ([, code, kind]) => [code, kind] as const,
      ),
    );

    expect(listed.size).toBe(NOTIFICATION_ERROR_CODES.length);
    expect(errors.filter(({ code, kind }) => listed.get(code) !== kind).map(({ code }) => code)).toEqual([]);
  });

  it('are a type that rejects other codes', () => {
    const known: NotificationErrorCode = 'NOTIFICATION.EXPIRED';
    // @ts-expect-error No error has this code.
    const unknown: NotificationErrorCode = 'NOTIFICATION.NO_SUCH_CODE';

    expect([known, unknown].map((code) => NOTIFICATION_ERROR_CODES.includes(code))).toEqual([true, false]);
  });
});
