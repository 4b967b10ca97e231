import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { backUpFleet, findServices, openSet, openStorage, readSchemaModel, verifySet } from '@azora/db-fleet';
import { repositoryRoot, useDatabase } from '@azora/db-testkit';
import { seedContext } from '../prisma/personas';
import { seedBase } from '../prisma/service-seed';
import { findCanaries, plantCanaries, readHashes } from './canaries';

/** Annotated columns that are empty in the seeded databases, and whose CHECK constraints accept no text alone. */
const EMPTY: readonly string[] = [
  'auth.users.legacy_password_hash',
  'auth.users.password_salt',
  'auth.users.lockout_reason',
  'auth.tokens.successor_salt',
  'family.conversations.summary',
  'sapiens.student_profiles.topic_mastery',
  'story.stories.gate_result',
];

/** Declares the tests of masked sets of the seeded databases of these services. */
export function describeMaskedSets(names: readonly string[]): void {
  describe.each(names)('a masked set of %s', (name) => {
    const db = useDatabase(name);
    let directory: string;
    beforeAll(async () => {
      directory = await mkdtemp(path.join(os.tmpdir(), 'azora-sets-'));
    });
    afterAll(() => rm(directory, { recursive: true, force: true }));

    it('contains no canary of personal data, plain, encoded or hashed, and can be restored', async () => {
      const schemaModel = await readSchemaModel(await findServices(repositoryRoot()));
      const schema = schemaModel.services.find((service) => service.name === name);
      if (schema === undefined) throw new Error(`There is no service ${name}`);
      const { seed } = await import(`@azora/${name}/seed`);
      await seedBase(seed, db().target.admin.href, seedContext(new Date('2026-06-01'), [name], repositoryRoot()));
      const { canaries, empty } = await plantCanaries(db(), schema);
      expect(empty).toEqual(EMPTY.filter((column) => column.startsWith(`${name}.`)));
      const hashes = await readHashes(db(), schema);

      const storage = await openStorage(directory, {});
      const mask = { schemaModel, key: 'a key for tests' };
      const options = { fence: false, allowDrift: false, allowIncomplete: false, full: false, references: [] } as const;
      const made = {
        secret: undefined,
        format: 'copy',
        compression: 'gzip',
        environment: {},
        log: () => undefined,
      } as const;
      const { set, rows } = await backUpFleet([db().target], { storage, mask, ...options, ...made }, {});
      expect(rows.map((row) => (row.state === 'failed' ? row.error : row.state))).toEqual(['done']);

      expect(await findCanaries(path.join(directory, set), [...canaries, ...hashes])).toEqual([]);
      const opened = await openSet(storage, set, undefined);
      const { verification } = await verifySet(
        [db().target],
        { set: opened, home: directory, references: [], environment: {} },
        {},
      );
      expect(verification).toMatchObject({ ok: true, problems: [] });
    });
  });
}
