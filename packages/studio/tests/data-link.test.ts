/** @server none */
import { dataLink, readDataPlace } from '../src/routing/data-link';

describe('a link into the data page', () => {
  it('can be read back', () => {
    const link = dataLink({ service: 'auth', table: 'users', equals: { column: 'id', value: 'a b+c&d=#"é' } });

    const place = readDataPlace(new URL(link, 'http://studio').hash);

    expect(place).toEqual({ schema: 'auth', table: 'users', equals: { column: 'id', value: 'a b+c&d=#"é' } });
  });

  it('contains only the parts that it was given', () => {
    const link = dataLink({ service: 'auth' });

    expect(link).toBe('/data#view=table&schema=auth');
  });

  it('has no filter when the filter in the address is not valid JSON', () => {
    const place = readDataPlace('#schema=auth&filter=%7Bno');

    expect(place).toEqual({ schema: 'auth', table: undefined, equals: undefined });
  });
});
