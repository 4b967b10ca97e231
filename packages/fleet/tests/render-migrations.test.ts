/** @server none */
import { SuiteError } from '@azora/db-core';
import type { ServiceRow } from '../src/operations/fleet';
import type { VerifiedService } from '../src/operations/migrations/verify';
import { parseScript } from '../src/postgres/analysis/parse';
import { planText, verifyText } from '../src/render/migrations';

const FAILED: ServiceRow<never> = {
  service: 'auth',
  state: 'failed',
  error: new SuiteError('MIGRATION.NO_SQL', 'no file'),
};
const VERIFIED: ServiceRow<VerifiedService> = {
  service: 'shop',
  state: 'done',
  data: { migrations: 2, reverted: 2, irreversible: [], problems: [], rows: 3, tablesWithoutRows: [] },
};
const lastLine = (text: string) => text.split('\n').at(-1);

describe('the summary after a failure', () => {
  it('does not say that the migrations of a failed service were verified', () => {
    expect(lastLine(verifyText([FAILED]))).toBe('nothing verified');
    expect(lastLine(verifyText([FAILED, VERIFIED]))).toBe(
      '1 of 2 services: 2 migrations applied, reverted and applied again, 3 rows: no problems',
    );
    expect(lastLine(verifyText([VERIFIED]))).toBe(
      '2 migrations applied, reverted and applied again, 3 rows: no problems',
    );
  });

  it('does not say that irreversible migrations were reverted', () => {
    const row = { ...VERIFIED, data: { ...VERIFIED.data, migrations: 1_538, irreversible: ['20260101000000_init'] } };

    expect(lastLine(verifyText([row]))).toBe(
      '1,538 migrations applied, 2 of them reverted and applied again, 3 rows: no problems',
    );
  });

  it('does not say that there is nothing to run', () => {
    expect(lastLine(planText([FAILED], {}))).toBe('0 done, 1 failed');
  });
});

describe('a long file', () => {
  it('stops between two of its statements when the command is interrupted', async () => {
    const controller = new AbortController();
    const parsing = parseScript({ file: 'a.sql', sql: 'SELECT 1;\n'.repeat(5_000) }, controller.signal);
    const reason = new Error('Ctrl-C');
    controller.abort(reason);

    await expect(parsing).rejects.toBe(reason);
  });
});
