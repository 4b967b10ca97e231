/** @server any */
import { repositoryRoot, useDatabase, useTestClock } from '@azora/db-testkit';
import { seedContext } from '../../../prisma/personas';
import { seed } from '../seed';
import { volume } from '../seed/volume';
import { isPasswordOf } from '../src/account/passwords';
import { login, openAuth, verifyAuditChain } from '../src/index';

const NOW = '2026-06-01T00:00:00Z';

describe('the seeded users', () => {
  const db = useDatabase('auth');
  const context = seedContext(new Date(NOW), ['auth'], repositoryRoot());
  useTestClock(db, NOW);
  let auth: ReturnType<typeof openAuth>;

  beforeAll(async () => {
    auth = openAuth({ url: db().url });
    await seed.base(seed.open({ url: db().url }), context);
  });
  afterAll(() => auth.close());

  it('sign in with the seed password, and the educator needs a second factor', async () => {
    const { people, password } = context;

    expect(await login(auth, { email: people.student.email, password })).toMatchObject({ kind: 'session' });
    expect(await login(auth, { email: people.employer.email, password })).toMatchObject({ kind: 'session' });
    expect(await login(auth, { email: people.educator.email, password })).toMatchObject({
      kind: 'mfa',
      factors: ['totp', 'email'],
    });
    await expect(login(auth, { email: people.student.email, password: `${password}x` })).rejects.toMatchObject({
      code: 'AUTH.INVALID_CREDENTIALS',
    });
  });

  it('have intact audit chains', async () => {
    expect(await verifyAuditChain(auth)).toMatchObject({ ok: true, differenceCount: 0 });
  });

  it('have the seed password in a volume seed too', async () => {
    const [users] = volume({ firstUser: 0, userCount: 1, now: context.now });
    const [row] = users?.rows ?? [];
    const hash = row?.[users?.columns.indexOf('password_hash') ?? -1];

    expect(await isPasswordOf(String(hash), context.password, 12)).toBe(true);
  });
});
