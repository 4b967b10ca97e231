/** @server none */
import { placeProblem } from '../src/data/place-problem';
import { hasSqlFilter } from '../src/routing/data-link';

const SERVICES = [{ service: 'auth' }, { service: 'shop' }];
const KNOWN = new Map([
  ['auth', ['users']],
  ['auth.audit', ['entries']],
]);
const UNREAD = [{ service: 'shop', error: new Error('connection refused') }];

describe('an address', () => {
  const problem = (schema: string | undefined, table?: string) =>
    placeProblem({ schema, table, equals: undefined }, SERVICES, UNREAD, KNOWN);

  it.each([
    ['auth', 'users'],
    ['auth.audit', 'entries'],
    ['auth', undefined],
    [undefined, undefined],
  ])('of a table that exists has rows: %s %s', (schema, table) => {
    expect(problem(schema, table)).toBeUndefined();
  });

  it.each([
    ['mail', 'users', 'The studio does not show a service mail.'],
    ['shop', 'orders', 'The database of shop is not reachable: connection refused.'],
    ['auth.nothing', 'users', 'The database of auth has no schema of this name.'],
    ['auth', 'orders', 'auth has no table orders.'],
  ])('never shows the rows of another table: %s %s', (schema, table, why) => {
    expect(problem(schema, table)).toBe(why);
  });

  it('is not judged before the tables are known', () => {
    const place = { schema: 'auth', table: 'orders', equals: undefined };

    expect(placeProblem(place, SERVICES, [], undefined)).toBeUndefined();
  });
});

describe('a link with a filter', () => {
  const linkOf = (filter: string) => `#schema=auth&table=users&filter=${encodeURIComponent(filter)}`;
  const column = '{"kind":"ColumnFilter","column":"id","operator":"=","value":"1"}';

  it.each([
    ['beside a column', `{"kind":"FilterGroup","filters":[${column},{"kind":"SqlFilter","sql":"true"}]}`],
    ['in a group', '{"kind":"FilterGroup","filters":[{"kind":"FilterGroup","filters":[{"kind":"SqlFilter"}]}]}'],
    ['under an escaped name', '{"kind":"FilterGroup","filters":[{"\\u006bind":"SqlFilter","sql":"true"}]}'],
    ['that cannot be read', '{"kind":'],
  ])('is held back when it contains SQL %s', (_where, filter) => {
    expect(hasSqlFilter(linkOf(filter))).toBe(true);
  });

  it('opens at once when it compares columns', () => {
    expect(hasSqlFilter(linkOf(`{"kind":"FilterGroup","filters":[${column}]}`))).toBe(false);
    expect(hasSqlFilter('#schema=auth')).toBe(false);
  });
});
