/** @server none */
import { globRegex } from '../src/search/glob';

describe('globRegex', () => {
  it.each([
    ['*.ts', ['a.ts', '.ts'], ['a/b.ts', 'ats', 'a.tsx']],
    ['**/*.ts', ['a.ts', 'a/b/c.ts'], ['a/b.js']],
    ['src/**', ['src/a', 'src/a/b'], ['src', 'asrc/a']],
    ['src/**/x', ['src/x', 'src/a/b/x'], ['src/ax']],
    ['a?c', ['abc'], ['ac', 'a/c', 'abbc']],
    ['[a-c]x', ['ax', 'cx'], ['dx', '-x']],
    ['[!a-c]x', ['dx'], ['ax', '/x']],
    ['{a,b{c,d}}.ts', ['a.ts', 'bc.ts', 'bd.ts'], ['b.ts', 'c.ts']],
    ['a+(b).$^|', ['a+(b).$^|'], ['aab']],
    ['a\\*b', ['a*b'], ['axb']],
    ['a,b}', ['a,b}'], ['a']],
    ['[]]', [']'], ['a']],
  ])('of %s means what PostgreSQL matches with it', (glob, matching, others) => {
    // The expressions are of the common part of both languages.
    const regex = new RegExp(globRegex(glob) ?? '(?!)', 'u');

    expect(matching.filter((path) => !regex.test(path))).toEqual([]);
    expect(others.filter((path) => regex.test(path))).toEqual([]);
  });

  it.each(['[a', '{a,b', 'a{b{c}'])('is undefined for %s, which does not end', (glob) => {
    expect(globRegex(glob)).toBeUndefined();
  });
});
