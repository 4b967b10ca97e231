import { dataLink, readDataPlace } from '../src/routing/data-link';

describe('a link into the data page', () => {
  it('is read back as the same place', () => {
    const link = dataLink({ service: 'auth', table: 'users', equals: { column: 'id', value: 'a b+c&d=#"é' } });

    const place = readDataPlace(new URL(link, 'http://studio').hash);

    expect(place).toEqual({ schema: 'auth', table: 'users', equals: { column: 'id', value: 'a b+c&d=#"é' } });
  });

  it('names only what it was given', () => {
    const link = dataLink({ service: 'auth' });

    expect(link).toBe('/data#view=table&schema=auth');
  });

  it('leaves a filter alone that somebody typed wrongly', () => {
    const place = readDataPlace('#schema=auth&filter=%7Bno');

    expect(place).toEqual({ schema: 'auth', table: undefined, equals: undefined });
  });
});
