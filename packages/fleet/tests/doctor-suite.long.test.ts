/** @server any */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { openTestDatabase } from '@azora/db-testkit';
import { examineFleet } from '../src/operations/migrations/doctor';
import { findingsOf } from './doctor-fixture';
import { REPOSITORY_ROOT } from './suite-fixture';

describe('the databases of the suite', () => {
  it('have no findings after setup', async () => {
    const services = await readdir(path.join(REPOSITORY_ROOT, 'services'));
    const databases = await Promise.all(services.map(openTestDatabase));
    const report = await examineFleet(
      databases.map(({ target }) => target),
      {},
    );
    // The suite cannot choose the packages of an ordinary server.
    const wrong = findingsOf(report).filter(({ level, check }) => level !== 'note' && check !== 'extension-version');
    await Promise.all(databases.map((database) => database.close(false)));

    expect(wrong).toEqual([]);
    expect(report.rows).toHaveLength(services.length);
    expect(report.rows.filter(({ state }) => state !== 'done')).toEqual([]);
  });
});
