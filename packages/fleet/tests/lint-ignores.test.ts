import { removeCheckouts, rulesBroken, TIMEOUT } from './lint-fixture';

afterAll(removeCheckouts);

describe('a reason', () => {
  const DROP = `ALTER TABLE users DROP COLUMN name`;
  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    ["silences squawk's rule", `-- lint-ignore ban-drop-column: unread since 2.1\n${DROP};`, []],
    [
      'silences several of one statement, with other comments between',
      `-- lint-ignore ban-drop-column , cascade: unread since 2.1\n-- DATA LOSS: a name\n${DROP} CASCADE;`,
      [],
    ],
    [
      'silences from several lines',
      `--lint-ignore cascade: a\r\n-- lint-ignore ban-drop-column: b\r\n${DROP} CASCADE;`,
      [],
    ],
    ['that is missing silences nothing', `-- lint-ignore ban-drop-column\n${DROP};`, ['bad-ignore', 'ban-drop-column']],
    [
      'that is empty silences nothing',
      `-- lint-ignore ban-drop-column:  \n${DROP};`,
      ['bad-ignore', 'ban-drop-column'],
    ],
    ['for no rule silences nothing', `-- lint-ignore : it is fine\n${DROP};`, ['bad-ignore', 'ban-drop-column']],
    [
      'for a rule that there is not silences nothing',
      `-- lint-ignore ban-drop-column, ban-everything: why\n${DROP};`,
      ['bad-ignore', 'ban-drop-column'],
    ],
    ['cannot excuse a bad ignore', `-- lint-ignore bad-ignore: why\n${DROP};`, ['bad-ignore', 'ban-drop-column']],
    ['with an empty line below', `-- lint-ignore ban-drop-column: why\n\n${DROP};`, ['bad-ignore', 'ban-drop-column']],
    [
      'behind another statement',
      `SELECT 1; -- lint-ignore ban-drop-column: why\n${DROP};`,
      ['bad-ignore', 'ban-drop-column'],
    ],
    [
      'inside of a statement',
      'ALTER TABLE users\n-- lint-ignore ban-drop-column: why\nDROP COLUMN name;',
      ['bad-ignore', 'ban-drop-column'],
    ],
    ['above nothing', `SELECT 1;\n-- lint-ignore ban-drop-column: why\n`, ['bad-ignore']],
    ['for what is not there', '-- lint-ignore ban-drop-column: why\nSELECT 1;', ['unused-ignore']],
    ['for one of two', `-- lint-ignore ban-drop-column, cascade: why\n${DROP};`, ['unused-ignore']],
    [
      'for the statement above the wrong one',
      `-- lint-ignore ban-drop-column: why\nSELECT 1;\n${DROP};`,
      ['unused-ignore', 'ban-drop-column'],
    ],
    ["in squawk's own words", `-- squawk-ignore ban-drop-column\n${DROP};`, ['bad-ignore', 'ban-drop-column']],
    ["in squawk's own words for the file", `-- squawk-ignore-file\n${DROP};`, ['bad-ignore', 'ban-drop-column']],
  ];

  it.each(cases)('%s', async (_title, up, rules) => {
    expect(await rulesBroken(TIMEOUT + up)).toEqual(rules);
  });

  it('silences our rules, and in down.sql too', async () => {
    const up = '-- lint-ignore lock-timeout-missing, index-not-concurrent: no rows yet\nCREATE INDEX i ON users (id);';
    const down =
      '-- lint-ignore concurrent-in-transaction: it is tried by hand\nCREATE INDEX CONCURRENTLY i ON users (id);';

    expect(await rulesBroken({ up, down })).toEqual([]);
  });
});
