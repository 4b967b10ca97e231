/** @server none */
import { Socket } from 'node:net';
import { openSession, receive } from '../src/postgres/companion/session';
import { message } from '../src/postgres/companion/wire';

/** The companion's reaction to a simple query. */
function reactionTo(sql: string): string {
  const bytes = message('Q', Buffer.from(`${sql}\0`));
  return receive(openSession(1, new Socket()), { type: 'Q', bytes }).action;
}

describe('the companion', () => {
  it.each([
    'COPY notes FROM STDIN',
    'copy "a b"."c""d" ("x", y) from stdin with (format csv)',
    '/* comment /* nested */ */ -- note\n COPY notes (id) FROM STDIN',
  ])('asks the client for the rows of %j', (sql) => {
    expect(reactionTo(sql)).toBe('answer');
  });

  it.each([
    "COPY notes FROM '/tmp/stdin'",
    'COPY (SELECT 1 FROM stdin) TO STDOUT',
    'SELECT 1; COPY notes FROM STDIN',
    "SELECT 'COPY notes FROM STDIN'",
    '',
  ])('passes %j to PGlite', (sql) => {
    expect(reactionTo(sql)).toBe('ask');
  });
});
