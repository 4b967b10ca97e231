import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';

/** How code reads the clock of its process. */
const CLOCK = /\bnew Date\(\)|\bDate\.now\(\)|\.clock\(/;

/** The sources of every store, without the generated clients. */
function sources(): readonly string[] {
  const services = path.join(repositoryRoot(), 'services');
  return readdirSync(services).flatMap((service) =>
    readdirSync(path.join(services, service, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.startsWith('generated'))
      .map((file) => path.join('services', service, 'src', file)),
  );
}

describe('the time of the rules', () => {
  it('is read from the database: no store reads the clock of its process', () => {
    const files = sources();
    expect(files.length).toBeGreaterThan(50);

    const found = files.filter((file) => CLOCK.test(readFileSync(path.join(repositoryRoot(), file), 'utf8')));

    expect(found).toEqual([]);
  });

  it.each(['const now = new Date();', 'Date.now() + 1', 'auth.clock()'])('is not %s', (code) => {
    expect(CLOCK.test(code)).toBe(true);
  });
});
