/** @server none */
import { withoutLiterals } from '../src/postgres/slow-statements';

describe('withoutLiterals', () => {
  it.each([
    [
      `SELECT "it's", a1, $1 FROM t WHERE x = 'it''s' AND n > -1.5e3`,
      `SELECT "it's", a1, $1 FROM t WHERE x = ? AND n > -?`,
    ],
    [String.raw`SELECT E'a\'b', 'c\', 'd'`, 'SELECT ?, ?, ?'],
    [
      `SELECT date'2020-01-01', U&'d!0061' UESCAPE '!', X'1F', 0x1F, 1_000, .5`,
      'SELECT date?, ? UESCAPE ?, ?, ?, ?, ?',
    ],
    [`CREATE ROLE x PASSWORD 'geheim'`, 'CREATE ROLE x PASSWORD ?'],
    ['DO $a$ SELECT $$x$$ $a$; SELECT $$y$$, a$b$c', 'DO ?; SELECT ?, a$b$c'],
    [`SELECT 1 /* user 'x' /* and y */ too */ -- of z\n, 2`, 'SELECT ?    \n, ?'],
    [`SELECT 'cut of`, 'SELECT ?'],
    ['SELECT $x$cut of', 'SELECT ?'],
    ['SELECT 1 /* cut of', 'SELECT ?  '],
    [`SELECT größe, 'ß' FROM "t 1"`, 'SELECT größe, ? FROM "t 1"'],
  ])('turns %j into %j', (sql, shown) => {
    expect(withoutLiterals(sql)).toBe(shown);
  });
});
