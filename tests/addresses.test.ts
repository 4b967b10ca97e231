/** @server none */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';

const root = repositoryRoot();
const ROOTS = ['services', 'packages', 'prisma', 'template', 'examples', 'benchmarks', 'scripts'];
const SKIPPED = /^(node_modules|dist|generated|tests|coverage|\..*)$/;
const SOURCE = /\.(ts|tsx|js|mjs|sql)$/;

/**
 * How code compares addresses otherwise than by lower(email) and =. In a pattern of LIKE, `_` and `%` of an address stand for
 * other letters, and Prisma sends `mode: 'insensitive'` as ILIKE. A plain = misses an address that is stored in another case.
 */
const WRONG: readonly (readonly [what: string, pattern: RegExp])[] = [
  ['ILIKE', /\bILIKE\b/i],
  ["mode: 'insensitive'", /mode:\s*['"]insensitive['"]/],
  ['LIKE on an address', /\bemail\b[^;\n]{0,40}\b(LIKE|SIMILAR TO)\b/],
  ['a regular expression that ignores case', /\bemail\b[^;\n]{0,20}~\*/],
  ['a filter of Prisma on an address', /\bemail:\s*\{\s*(equals|contains|startsWith|endsWith|in)\b/],
  ['an address in a where of Prisma', /where:\s*\{[^}]*\bemail\b[^}]*\}/],
  ['<> without lower()', /\bemail"?\s*<>|<>\s*(?!lower)[\w".]*\bemail\b/],
  ['= of two addresses without lower()', /(?<!SET "?email"? )=\s*"?\w+"?\."?email\b/],
  ['= without lower()', /(?<!lower\()(?<![\w"])"?(\w+"?\."?)?email"?(::text)?\s*(=|<>|IN\b)\s*(\$|:|\(|')/],
];

describe('addresses', () => {
  const files = ROOTS.flatMap((folder) => filesUnder(folder));

  it('are compared in one way in every source', () => {
    expect(files.length).toBeGreaterThan(300);
    const found = files.flatMap((file) => {
      const text = readFileSync(path.join(root, file), 'utf8');
      return WRONG.filter(([, pattern]) => pattern.test(text)).map(([what]) => `${file}: ${what}`);
    });

    expect(found).toEqual([]);
  });

  it.each([
    "SELECT id FROM users WHERE email ILIKE 'ada%'",
    'SELECT id FROM users WHERE email LIKE $1',
    'SELECT id FROM users WHERE users.email = $1',
    'SELECT id FROM users WHERE "email" = $1',
    "prisma.user.findFirst({ where: { email: { equals: email, mode: 'insensitive' } } })",
    'prisma.user.findFirst({ where: { orgId, email } })',
    "SELECT id FROM users WHERE email ~* 'ada'",
    'WHEN (NEW."email" <> OLD."email")',
    'WHERE "code"."sent_to" = "owner"."email"',
  ])('are not compared as in %s', (code) => {
    expect(WRONG.some(([, pattern]) => pattern.test(code))).toBe(true);
  });

  it.each([
    'WHERE lower(users.email) = $1',
    'WHERE lower("email") = "p_email"',
    'WHEN (lower(NEW."email") <> lower(OLD."email"))',
    'UPDATE tokens SET "email" = "owner"."email" FROM users AS owner',
    "UPDATE users SET email = concat('a', id)",
  ])('may be compared as in %s', (code) => {
    expect(WRONG.filter(([, pattern]) => pattern.test(code))).toEqual([]);
  });
});

function filesUnder(folder: string): readonly string[] {
  return readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (SKIPPED.test(entry.name)) return [];
    const child = path.join(folder, entry.name);
    if (entry.isDirectory()) return filesUnder(child);
    return SOURCE.test(entry.name) ? [child] : [];
  });
}
