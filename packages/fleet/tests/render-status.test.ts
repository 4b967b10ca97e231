/** @server none */
import type { ServiceStatus } from '../src/operations/status';
import { statusText } from '../src/render/status';

const HEALTHY: ServiceStatus = {
  service: 'mint',
  database: 'azora_mint',
  server: 'embedded',
  reachable: true,
  serverVersion: '18.4',
  migrations: { applied: 2, pending: [], failed: [], edited: [], missing: [] },
  drift: false,
  models: 1,
  tables: { wallets: 1_024 },
  sizeBytes: 8 * 2 ** 20,
  error: null,
};

/** The lines below the table. */
function attention(changed: Partial<ServiceStatus>): readonly string[] {
  return statusText([{ ...HEALTHY, ...changed }])
    .split('\n')
    .slice(2);
}

describe('the lines below the status table', () => {
  it('are absent when nothing needs attention', () => {
    expect(attention({})).toEqual([]);
  });

  it.each([
    ['pending', 'run "npx azora-db migrate up --service mint"'],
    ['failed', 'run "npx azora-db migrate status --service mint" to see the error'],
    ['edited', 'restore the files from version control'],
    ['missing', 'restore the folder from version control'],
  ] as const)('say what to do about a migration that is %s', (state, next) => {
    const [line] = attention({ migrations: { ...HEALTHY.migrations, [state]: ['20260101000000_init'] } });

    expect(line).toMatch(/^mint: .*20260101000000_init → /);
    expect(line).toContain(next);
  });

  it('say what to do about drift', () => {
    expect(attention({ drift: true })[0]).toContain('run "npx azora-db migrate drift --service mint"');
  });

  it('say what to do about a database that cannot be read', () => {
    const error = { code: 'SERVER.NO_DATABASE', message: 'mint has no database', next: 'Run "npm run db:setup"' };

    expect(attention({ reachable: false, error })).toEqual([
      'mint: mint has no database → Run "npm run db:setup" [SERVER.NO_DATABASE]',
    ]);
  });
});
