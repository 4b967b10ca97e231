/** @server none */
import fc from 'fast-check';
import { parseDatabaseUrl, redactUrl, withUrlParts } from '../src/url';

const OTHER_SCHEMA = /^Its parameter "(schema|currentSchema|search_path)" names another schema than public/;

describe('parseDatabaseUrl', () => {
  it('reads host, port, user and database', () => {
    const url = parseDatabaseUrl(
      'postgresql://ann:s%20ecret@db.example:6543/azora_mint?sslmode=require',
      'DATABASE_URL',
    );

    expect(url).toMatchObject({ host: 'db.example', port: 6543, user: 'ann', database: 'azora_mint' });
  });

  it('reads the host from ?host=, as libpq does for socket directories', () => {
    const url = parseDatabaseUrl('postgresql://ann@localhost/azora?host=/run/azora', 'DATABASE_URL');

    expect(url).toMatchObject({ host: '/run/azora', port: 5432 });
  });

  it.each([
    ['', 'It is empty.'],
    ['not a url', 'It is not a valid URL.'],
    ['mysql://root:hunter2@localhost/x', 'It starts with "mysql://" instead of "postgresql://".'],
    ['postgresql:///azora', 'It has no host.'],
    ['postgresql://u:hunter2%zz@localhost/x', 'It contains a % that does not start a %XX escape.'],
    ['postgresql://u:hunter2@localhost/a/b', 'Its path contains more than a database name.'],
    ['postgresql://u:hunter2@localhost/.', 'A URL cannot name a database "." or "..".'],
    ['postgresql://u:hunter2@localhost/%2e.?sslmode=require', 'A URL cannot name a database "." or "..".'],
    ['postgresql://u:hunter2@localhost:99999/a', 'Its port is not a number from 1 to 65535.'],
    ...['schema=tenant', 'schema=', 'schema=Public', 'schema=public&schema=tenant', 'currentSchema=tenant'].map(
      (parameter) => [
        `postgresql://u:hunter2@localhost/a?sslmode=disable&${parameter}`,
        expect.stringMatching(OTHER_SCHEMA),
      ],
    ),
    ['postgresql://u:hunter2@localhost/a?search_path=tenant,public', expect.stringMatching(OTHER_SCHEMA)],
  ])('rejects %j, naming the variable and the reason', (text, why) => {
    expect(() => parseDatabaseUrl(text, 'MINT_DATABASE_URL')).toThrow(
      expect.objectContaining({ code: 'CONFIG.BAD_URL', why, message: expect.stringContaining('MINT_DATABASE_URL') }),
    );
  });

  it('accepts the schema public, which Prisma writes into its URLs', () => {
    const url = parseDatabaseUrl('postgresql://ann@db/azora?schema=public', 'DATABASE_URL');

    expect(url).toMatchObject({ host: 'db', database: 'azora' });
    expect(() => parseDatabaseUrl('postgresql://ann@db/azora?schema=a', 'DATABASE_URL')).toThrow(
      expect.objectContaining({
        next: 'Remove schema from DATABASE_URL, and use a database of its own for each environment',
      }),
    );
  });

  it('never repeats a password in its error', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^pw0rd-[A-Za-z0-9%/@:?#]{8,20}$/), (password) => {
        try {
          parseDatabaseUrl(`mysql://user:${password}@host/x`, 'DATABASE_URL');
        } catch (error) {
          expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain(password);
          return;
        }
        throw new Error('it was accepted');
      }),
    );
  });
});

describe('an IPv6 address', () => {
  it('has brackets in a URL, and none as a host to connect to', () => {
    const url = parseDatabaseUrl('postgresql://ann@[::1]:5433/azora_mint', 'DATABASE_URL');

    expect(url).toMatchObject({ host: '::1', port: 5433 });
    expect(redactUrl(url)).toBe('ann@[::1]:5433/azora_mint');
  });
});

describe('redactUrl', () => {
  it('shows where a URL points without the password, whatever characters it contains', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 6, unit: 'grapheme' }), (password) => {
        const text = `postgresql://ann:${encodeURIComponent(password)}@db:5433/azora_mint?password=${encodeURIComponent(password)}`;

        expect(redactUrl(parseDatabaseUrl(text, 'DATABASE_URL'))).toBe('ann@db:5433/azora_mint');
      }),
    );
  });
});

describe('withUrlParts', () => {
  it('changes user, password and database only, whatever characters they contain', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), (odd) => {
        fc.pre(!odd.includes('/') && odd !== '.' && odd !== '..');
        const url = parseDatabaseUrl('postgresql://ann:a@db:5433/azora?sslmode=require', 'DATABASE_URL');
        const changed = withUrlParts(url, { database: odd, user: odd, password: odd });

        expect(changed).toMatchObject({ user: odd, database: odd, host: 'db', port: 5433 });
        expect(changed.href).toContain('?sslmode=require');
      }),
    );
  });

  it.each(['.', '..', 'a/b'])('rejects the database %j, which a URL would turn into another one', (database) => {
    const url = parseDatabaseUrl('postgresql://ann:a@db:5433/azora', 'DATABASE_URL');

    expect(() => withUrlParts(url, { database })).toThrow(expect.objectContaining({ code: 'CONFIG.BAD_URL' }));
  });
});
