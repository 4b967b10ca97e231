/** @server none */
import { newId } from '../src/ids';

describe('newId', () => {
  it('returns distinct ids shaped like a cuid', () => {
    const ids = Array.from({ length: 10_000 }, () => newId());

    expect(ids.every((id) => /^c[0-9a-z]{24}$/.test(id))).toBe(true);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('returns ids that sort by time', () => {
    expect(newId(1_000) < newId(1_700_000_000_000)).toBe(true);
    expect(newId(1_700_000_000_000) < newId(1_700_000_000_001)).toBe(true);
  });
});
