import { SuiteError } from '@azora/db-core';
import { type Depth, type Migration, readMigrations } from '@azora/db-migrate';
import type { Service } from '../../config/registry';
import type { Target } from '../targets';
import { readTag, tagNames } from './tags';

/** A database and the migration that becomes its newest; null for no migration at all, undefined without `--to`. */
export interface Destination {
  readonly target: Target;
  readonly to?: string | null | undefined;
}

/** The depth of a run down: a number of steps, or the destination. */
export function depthOf(to: string | null | undefined, steps: number | undefined): Depth {
  if (steps !== undefined) return { steps };
  // A caller that gives neither must not revert everything.
  if (to === undefined) throw new Error('a run down needs steps or a destination');
  return { to };
}

/** The destination as an item for {@link eachService}. */
export function withService(destination: Destination): Destination & { readonly service: Service } {
  return { ...destination, service: destination.target.service };
}

/**
 * Resolves the argument of `--to`: a tag, which names a head for each service, or a migration, which selects only the
 * services that have it. A migration may be given by the beginning of its name, such as its timestamp.
 * @throws {SuiteError} `USAGE.UNKNOWN_DESTINATION`, `MIGRATION.MISSING` when a head has no file
 */
export async function findDestinations(
  root: string,
  targets: readonly Target[],
  to: string,
): Promise<readonly Destination[]> {
  const read = await Promise.all(
    targets.map(async (target) => ({
      target,
      migrations: await readMigrations(target.service.migrationsPath),
    })),
  );
  const names = read.map(({ target, migrations }) => ({ target, names: migrations.map(({ name }) => name) }));
  const heads = await readTag(root, to);
  if (heads !== undefined) {
    return read.flatMap(({ target, migrations }): readonly Destination[] => {
      const head = heads[target.service.name];
      if (head === undefined) return [];
      if (head === null) return [{ target, to: head }];
      // A squash has the result of the newest migration that it replaces.
      const found = migrations.find(({ name, squashes }) => name === head || squashes.at(-1) === head);
      if (found === undefined) throw withoutFile(target, head, to, migrations);
      return [{ target, to: found.name }];
    });
  }
  const found = names.flatMap(({ target, names: known }) => {
    const matching = known.filter((name) => name === to || name.startsWith(to));
    if (matching.length > 1 && !matching.includes(to)) throw unknown(`${to} is ambiguous: ${matching.join(', ')}`);
    const [name] = matching.includes(to) ? [to] : matching;
    return name === undefined ? [] : [{ target, to: name }];
  });
  if (found.length > 0) return found;
  const tags = await tagNames(root);
  throw unknown(`There is no tag and no migration named ${to}`, tags);
}

function withoutFile(target: Target, head: string, tag: string, migrations: readonly Migration[]): SuiteError {
  const squash = migrations.find(({ squashes }) => squashes.includes(head))?.name;
  return new SuiteError('MIGRATION.MISSING', `${target.service.name} has no migration ${head}`, {
    kind: 'configuration',
    why: `The tag ${tag} names this migration${squash === undefined ? '' : `, which ${squash} replaces`}.`,
    next: squash === undefined ? 'Restore the folder from version control' : 'Use a newer tag',
    meta: { service: target.service.name, migrations: [head] },
  });
}

function unknown(message: string, tags: readonly string[] = []): SuiteError {
  return new SuiteError('USAGE.UNKNOWN_DESTINATION', message, {
    kind: 'usage',
    next:
      tags.length > 0
        ? `Use one of the tags: ${tags.join(', ')}`
        : 'Use the full name of a migration, as "npx azora-db migrate status" shows it',
    meta: { tags },
  });
}
