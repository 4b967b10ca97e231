import { SuiteError } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import { readSetFile, textOf } from '../../backup-store/file';
import type { DatabaseEntry } from '../../backup-store/manifest';
import type { OpenedSet } from '../../backup-store/set';
import { fileDamaged } from '../../backup-store/storage';
import { type Access, accessSchema, type Locale, readLocale, rolesAt } from '../../postgres/dump/access';
import { localeOptions, namedRoles } from '../../postgres/dump/access-statements';
import type { ScratchPlace } from '../../postgres/scratch';
import { scratchPlace } from '../targets';
import type { Pair } from './preflight';

/** Owners, rights and settings of a database of the set; undefined in a set of an earlier version, which has none. */
export async function readSetAccess(
  { storage, manifest, key }: OpenedSet,
  { access }: DatabaseEntry,
): Promise<Access | undefined> {
  if (access === null) return undefined;
  const text = await readSetFile(storage, manifest.id, access, key, textOf);
  const parsed = accessSchema.safeParse(JSON.parse(text));
  if (!parsed.success) throw fileDamaged(manifest.id, access.path, 'It does not describe owners and rights.');
  return parsed.data;
}

/** The places for databases next to the live ones, with the locales that the databases of the set had. */
export async function placesFor(set: OpenedSet, pairs: readonly Pair[]): Promise<readonly ScratchPlace[]> {
  return Promise.all(
    pairs.map(async ({ target, entry }) => ({
      ...scratchPlace(target),
      locale: await localeOf(set, { target, entry }),
    })),
  );
}

/** A sentence for a restored database whose texts are compared in another way than before. */
export async function localeNotes(client: ClientBase, set: OpenedSet, pair: Pair): Promise<readonly string[]> {
  const wanted = await localeOf(set, pair);
  if (wanted === undefined) return [];
  const [before, now] = [localeOptions(wanted), localeOptions(await readLocale(client))];
  return before === now
    ? []
    : [
        `the database gets the locale ${now}, because the server does not offer ${before}; texts may sort in another order`,
      ];
}

/** A companion has one locale. */
async function localeOf(set: OpenedSet, { target, entry }: Pair): Promise<Locale | undefined> {
  return target.server === 'companion' ? undefined : (await readSetAccess(set, entry))?.database.locale;
}

/**
 * Makes sure that the owners of all objects exist: an object that became the administrator's would run as the administrator.
 * Returns a sentence for what a restore leaves out: rights of roles that do not exist, and what the set does not carry.
 * @throws {SuiteError} `RESTORE.MISSING_ROLE` before anything is changed
 */
export async function requireOwners(set: OpenedSet, pairs: readonly Pair[]): Promise<readonly string[]> {
  const notes = await Promise.all(pairs.map((pair) => notRestored(set, pair)));
  return notes.flat();
}

async function notRestored(set: OpenedSet, { target, entry }: Pair): Promise<readonly string[]> {
  // A companion has a single role.
  if (target.server === 'companion') return [];
  const service = target.service.name;
  const access = await readSetAccess(set, entry);
  if (access === undefined) {
    return [
      `the set of ${service} does not say who owns its objects and may use them; they belong to the administrator`,
    ];
  }
  const roleOf = await withClient(target.maintenance, (client) => rolesAt(client, access, target.role));
  const { owners, others } = namedRoles(access);
  const lacking = (roles: readonly string[]) => roles.filter((role) => roleOf(role) === undefined);
  const missing = lacking(owners);
  if (missing.length > 0) throw missingRole(service, missing);
  return [
    ...lacking(others).map(
      (role) => `${service}: the rights of the role ${role}, which does not exist here, are not restored`,
    ),
    ...access.notCarried.map((part) => `${service}: the set does not carry ${part}`),
  ];
}

function missingRole(service: string, roles: readonly string[]): SuiteError {
  return new SuiteError(
    'RESTORE.MISSING_ROLE',
    `The server lacks roles that own objects of ${service}: ${roles.join(', ')}`,
    {
      kind: 'configuration',
      why: 'Without its owner, an object would belong to the administrator, and its functions would run with all rights.',
      next: 'Create the roles with CREATE ROLE, with the attributes that manifest.json lists, and run the command again',
      meta: { service, roles },
    },
  );
}
