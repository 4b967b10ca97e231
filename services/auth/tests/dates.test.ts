/** @server any */
import { useDatabase } from '@azora/db-testkit';
import { readAudit, revokeToken } from '../src/index';
import { outcomes, useAuth } from './given';

/** Every input with a date. */
const INPUTS = [
  ['expiresAt of revokeToken', (auth, at) => revokeToken(auth, { jti: 'dates', expiresAt: at })],
  ['from of readAudit', (auth, at) => readAudit(auth, { from: at })],
  ['to of readAudit', (auth, at) => readAudit(auth, { to: at })],
] as const satisfies readonly (readonly [
  string,
  (auth: ReturnType<ReturnType<typeof useAuth>>, at: Date) => Promise<unknown>,
])[];

describe('a date', () => {
  const db = useDatabase('auth');
  const open = useAuth(db);

  it.each(INPUTS)('is accepted in the years 1 to 9999: %s', async (_what, call) => {
    const calls = ['0001-01-01T00:00:00.000Z', '9999-12-31T23:59:59.999Z'].map((at) => call(open(), new Date(at)));

    expect(await outcomes(calls)).toEqual({ ok: 2 });
  });

  it.each(INPUTS)('is rejected outside of them: %s', async (_what, call) => {
    const times = [-8.64e15, -62_135_596_800_001, 253_402_300_800_000, 8.64e15, Number.NaN];
    const calls = times.map((at) => call(open(), new Date(at)));

    expect(await outcomes(calls)).toEqual({ 'AUTH.INVALID_INPUT': times.length });
  });
});
