/** @server none */
import { removeCheckouts, rulesBroken, TIMEOUT } from './lint-fixture';

afterAll(removeCheckouts);

describe('a lint-ignore comment', () => {
  const DROP = `ALTER TABLE users DROP COLUMN name`;
  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    ['silences a rule of squawk', `-- lint-ignore ban-drop-column: unread since 2.1\n${DROP};`, []],
    [
      'silences several rules of a statement, with other comments between them',
      `-- lint-ignore ban-drop-column , cascade: unread since 2.1\n-- DATA LOSS: a name\n${DROP} CASCADE;`,
      [],
    ],
    [
      'silences rules on several lines',
      `--lint-ignore cascade: a\r\n-- lint-ignore ban-drop-column: b\r\n${DROP} CASCADE;`,
      [],
    ],
    ['without a reason has no effect', `-- lint-ignore ban-drop-column\n${DROP};`, ['bad-ignore', 'ban-drop-column']],
    [
      'with an empty reason has no effect',
      `-- lint-ignore ban-drop-column:  \n${DROP};`,
      ['bad-ignore', 'ban-drop-column'],
    ],
    ['without a rule has no effect', `-- lint-ignore : it is fine\n${DROP};`, ['bad-ignore', 'ban-drop-column']],
    [
      'with an unknown rule has no effect',
      `-- lint-ignore ban-drop-column, ban-everything: why\n${DROP};`,
      ['bad-ignore', 'ban-drop-column'],
    ],
    ['cannot silence bad-ignore', `-- lint-ignore bad-ignore: why\n${DROP};`, ['bad-ignore', 'ban-drop-column']],
    [
      'above an empty line has no effect',
      `-- lint-ignore ban-drop-column: why\n\n${DROP};`,
      ['bad-ignore', 'ban-drop-column'],
    ],
    [
      'on the line of another statement has no effect',
      `SELECT 1; -- lint-ignore ban-drop-column: why\n${DROP};`,
      ['bad-ignore', 'ban-drop-column'],
    ],
    [
      'inside a statement has no effect',
      'ALTER TABLE users\n-- lint-ignore ban-drop-column: why\nDROP COLUMN name;',
      ['bad-ignore', 'ban-drop-column'],
    ],
    ['at the end of the file is an error', `SELECT 1;\n-- lint-ignore ban-drop-column: why\n`, ['bad-ignore']],
    ['without a finding is a finding', '-- lint-ignore ban-drop-column: why\nSELECT 1;', ['unused-ignore']],
    [
      'for two rules with one finding is a finding',
      `-- lint-ignore ban-drop-column, cascade: why\n${DROP};`,
      ['unused-ignore'],
    ],
    [
      'above the wrong statement has no effect',
      `-- lint-ignore ban-drop-column: why\nSELECT 1;\n${DROP};`,
      ['unused-ignore', 'ban-drop-column'],
    ],
    [
      "in squawk's own syntax has no effect",
      `-- squawk-ignore ban-drop-column\n${DROP};`,
      ['bad-ignore', 'ban-drop-column'],
    ],
    [
      "in squawk's own syntax for the file has no effect",
      `-- squawk-ignore-file\n${DROP};`,
      ['bad-ignore', 'ban-drop-column'],
    ],
  ];

  it.each(cases)('%s', async (_title, up, rules) => {
    expect(await rulesBroken(TIMEOUT + up)).toEqual(rules);
  });

  it("silences the suite's own rules, also in down.sql", async () => {
    const up = '-- lint-ignore lock-timeout-missing, index-not-concurrent: no rows yet\nCREATE INDEX i ON users (id);';
    const down =
      '-- lint-ignore concurrent-in-transaction: it is tried by hand\nCREATE INDEX CONCURRENTLY i ON users (id);';

    expect(await rulesBroken({ up, down })).toEqual([]);
  });
});
