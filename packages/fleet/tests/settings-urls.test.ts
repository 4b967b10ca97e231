/** @server none */
import { readSettings } from '../src/config/settings';
import { REPOSITORY_ROOT } from './suite-fixture';

const serviceOf = (name: string) => ({
  ...{ name, packageName: `@azora/${name}`, description: '', directory: '', databaseSuffix: name, extensions: [] },
  ...{ schemaPath: '', migrationsPath: '' },
});
const SERVICES = [serviceOf('auth'), serviceOf('mint')];
const read = (environment: Readonly<Record<string, string>>) => () =>
  readSettings(REPOSITORY_ROOT, SERVICES, environment);

describe('the databases of two services', () => {
  it.each([
    [
      'by two variables',
      { AUTH_DATABASE_URL: 'postgresql://a@db/app', MINT_DATABASE_URL: 'postgresql://b@DB:5432/app' },
      'Correct AUTH_DATABASE_URL or MINT_DATABASE_URL',
    ],
    [
      'by a variable that names the database of another service',
      { DATABASE_URL: 'postgresql://a@localhost/postgres', AUTH_DATABASE_URL: 'postgresql://a@127.0.0.1/azora_mint' },
      'Correct AUTH_DATABASE_URL',
    ],
    [
      'on a socket',
      { AUTH_DATABASE_URL: 'postgresql://a@x/app?host=/run', MINT_DATABASE_URL: 'postgresql://a@y/app?host=/run' },
      'Correct AUTH_DATABASE_URL or MINT_DATABASE_URL',
    ],
  ])('are rejected when they are the same: %s', (_, environment, next) => {
    expect(read(environment)).toThrow(
      expect.objectContaining({
        code: 'CONFIG.SHARED_DATABASE',
        message: expect.stringMatching(/^auth and mint /),
        next,
      }),
    );
  });

  it.each([
    ['two databases of one server', { DATABASE_URL: 'postgresql://a@db/app' }],
    [
      'the same name on two servers',
      { AUTH_DATABASE_URL: 'postgresql://a@db/app', MINT_DATABASE_URL: 'postgresql://a@db2/app' },
    ],
    [
      'the same name on two ports',
      { AUTH_DATABASE_URL: 'postgresql://a@db/app', MINT_DATABASE_URL: 'postgresql://a@db:5433/app' },
    ],
    ['two URLs without a database', { AUTH_DATABASE_URL: 'postgresql://a@db', MINT_DATABASE_URL: 'postgresql://a@db' }],
    ['the embedded server', {}],
  ])('are accepted: %s', (_, environment) => {
    expect(read(environment)).not.toThrow();
  });
});

describe("the URL of a service's app role", () => {
  it('is rejected, because the toolkit needs the administrator', () => {
    expect(read({ MINT_DATABASE_URL: 'postgresql://azora_mint_app:x@db/azora_mint' })).toThrow(
      expect.objectContaining({
        code: 'CONFIG.APP_ROLE_URL',
        message: 'MINT_DATABASE_URL contains the URL of the app role',
        next: "Unset MINT_DATABASE_URL for this command, or set it to the administrator's URL",
      }),
    );
  });

  it('is compared with the prefix of the environment', () => {
    expect(
      read({ AZORA_DB_PREFIX: 'test_', MINT_DATABASE_URL: 'postgresql://azora_mint_app:x@db/azora_mint' }),
    ).not.toThrow();
  });
});
