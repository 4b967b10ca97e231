import { quoteIdentifier, quoteLiteral } from '@azora/db-core';
import type { Access, Grant, Locale, RoleOf } from './access';

/** Settings whose value is a list of names that are quoted already. */
const QUOTED_LISTS = ['search_path', 'temp_tablespaces', 'local_preload_libraries', 'session_preload_libraries'];

/**
 * The statements that give objects their owners and their rights. Run them when all objects exist: a function with SECURITY
 * DEFINER is open to everybody until then. Rights of roles that the target lacks are left out.
 */
export function accessStatements(access: Access, roleOf: RoleOf): readonly string[] {
  const administrator = roleOf(access.administrator) ?? access.administrator;
  const ownerOf = new Map(access.owners.map(({ kind, name, owner }) => [`${kind} ${name}`, owner]));
  const owners = access.owners.flatMap(({ kind, name, owner }) => {
    const role = roleOf(owner);
    const word = kind === 'FOREIGN SERVER' ? 'SERVER' : kind;
    return role === undefined ? [] : [`ALTER ${word} ${name} OWNER TO ${quoteIdentifier(role)}`];
  });
  const grants = access.grants.flatMap(({ kind, name, column, grants: given }) => {
    const owner = roleOf(ownerOf.get(`${kind} ${name}`) ?? access.administrator) ?? administrator;
    const columns = column === null ? '' : ` (${quoteIdentifier(column)})`;
    const object = `${kind} ${name}`;
    const revoke = `REVOKE ALL${columns} ON ${object} FROM PUBLIC, ${quoteIdentifier(owner)}`;
    return [revoke, ...grantsOf(given, roleOf, columns, object)];
  });
  const defaults = access.defaults.flatMap(({ role, schema, kind, grants: given }) => {
    const of = roleOf(role);
    if (of === undefined) return [];
    const place = schema === null ? '' : ` IN SCHEMA ${quoteIdentifier(schema)}`;
    const begin = `ALTER DEFAULT PRIVILEGES FOR ROLE ${quoteIdentifier(of)}${place} `;
    // Those of a schema add to the ones of the whole database, which replace the built-in ones.
    const revoke = schema === null ? [`REVOKE ALL ON ${kind} FROM PUBLIC, ${quoteIdentifier(of)}`] : [];
    return [...revoke, ...grantsOf(given, roleOf, '', kind)].map((statement) => `${begin}${statement}`);
  });
  return [...owners, ...grants, ...defaults];
}

/**
 * The statements that give a database its settings, its comment, its limit of connections, and the rights on it. Only the app
 * role and the roles that are named may connect: PUBLIC never gets rights on a database of the suite.
 * @param name the name of the database as SQL
 */
export function databaseStatements(access: Access, roleOf: RoleOf, name: string): readonly string[] {
  const { grants, connectionLimit, comment, settings } = access.database;
  const named = grants.filter(({ role }) => role !== null);
  return [
    `REVOKE ALL ON DATABASE ${name} FROM PUBLIC`,
    ...grantsOf(named, roleOf, '', `DATABASE ${name}`),
    ...settings.flatMap(({ role, values }) => {
      const of = role === null ? null : roleOf(role);
      if (of === undefined) return [];
      const who = of === null ? '' : `ROLE ${quoteIdentifier(of)} IN `;
      return values.map((value) => `ALTER ${who}DATABASE ${name} SET ${settingOf(value)}`);
    }),
    ...(comment === null ? [] : [`COMMENT ON DATABASE ${name} IS ${quoteLiteral(comment)}`]),
    ...(connectionLimit < 0 ? [] : [`ALTER DATABASE ${name} CONNECTION LIMIT ${connectionLimit}`]),
  ];
}

/** The options of CREATE DATABASE that give a database this locale. */
export function localeOptions({ provider, collate, ctype, locale, rules }: Locale): string {
  const own = locale === null ? '' : quoteLiteral(locale);
  const of: Readonly<Record<string, string>> = { b: `builtin BUILTIN_LOCALE ${own}`, i: `icu ICU_LOCALE ${own}` };
  const more = rules === null ? '' : ` ICU_RULES ${quoteLiteral(rules)}`;
  return `LOCALE_PROVIDER ${of[provider] ?? 'libc'}${more} LC_COLLATE ${quoteLiteral(collate)} LC_CTYPE ${quoteLiteral(ctype)}`;
}

/** `timezone=UTC` as `timezone TO 'UTC'`. */
export function settingOf(setting: string): string {
  const at = setting.indexOf('=');
  const [name, value] = [setting.slice(0, at), setting.slice(at + 1)];
  const names = name.split('.').map(quoteIdentifier).join('.');
  return `${names} TO ${QUOTED_LISTS.includes(name.toLowerCase()) ? value : quoteLiteral(value)}`;
}

/** The roles that the access names, except the administrator and the app role, which every target has. */
export function namedRoles(access: Access): { readonly owners: readonly string[]; readonly others: readonly string[] } {
  const known = [access.administrator, access.appRole, null];
  const distinct = (roles: readonly (string | null)[]) =>
    [...new Set(roles)].flatMap((role) => (role === null || known.includes(role) ? [] : [role])).sort();
  const owners = distinct(access.owners.map(({ owner }) => owner));
  const given = [...access.grants.flatMap((it) => it.grants), ...access.defaults.flatMap((it) => it.grants)];
  const others = distinct([
    ...[...given, ...access.database.grants, ...access.database.settings, ...access.defaults].map(({ role }) => role),
  ]).filter((role) => !owners.includes(role));
  return { owners, others };
}

/** What differs between the access of a set and the access of a restored database, one sentence each. */
export function compareAccess(expected: Access, restored: Access, roleOf: RoleOf): readonly string[] {
  const wanted = factsOf(expected, roleOf);
  const found = factsOf(restored, (role) => role);
  const objects = [...new Set([...wanted.keys(), ...found.keys()])].sort();
  return objects
    .filter((object) => wanted.get(object) !== found.get(object))
    .map((object) => `${object}: ${found.get(object) ?? 'nothing'} instead of ${wanted.get(object) ?? 'nothing'}`);
}

/** Each owner, right and setting under the name of its object. */
function factsOf(
  { administrator, owners, grants, defaults, database }: Access,
  roleOf: RoleOf,
): ReadonlyMap<string, string> {
  const textOf = (given: readonly Grant[]) =>
    given
      .flatMap(({ role, rights }) => {
        const name = role === null ? 'PUBLIC' : roleOf(role);
        return name === undefined ? [] : [`${name} ${rights.join(', ')}`];
      })
      .sort()
      .join('; ');
  const facts: (readonly [string, string | undefined])[] = [
    ...owners.map(({ kind, name, owner }) => [`the owner of ${kind} ${name}`, roleOf(owner)] as const),
    ...grants.map((it) => {
      const column = it.column === null ? '' : `, column ${it.column}`;
      return [`the rights on ${it.kind} ${it.name}${column}`, textOf(it.grants)] as const;
    }),
    ...defaults.map((it) => {
      const owner = roleOf(it.role);
      const place = it.schema === null ? '' : ` in schema ${it.schema}`;
      const text = owner === undefined ? undefined : textOf(it.grants);
      return [`the default rights of ${owner} on ${it.kind}${place}`, text] as const;
    }),
    ...database.settings.map(({ role, values }) => {
      const name = role === null ? 'everybody' : roleOf(role);
      return [
        `the settings of the database for ${name}`,
        name === undefined ? undefined : values.toSorted().join('; '),
      ] as const;
    }),
    [
      'the rights on the database',
      textOf(database.grants.filter(({ role }) => role !== null && role !== administrator)),
    ],
    ['the comment of the database', database.comment ?? undefined],
    ['the limit of connections', String(database.connectionLimit)],
  ];
  return new Map(facts.flatMap(([object, text]) => (text === undefined ? [] : [[object, text] as const])));
}

function grantsOf(given: readonly Grant[], roleOf: RoleOf, columns: string, object: string): readonly string[] {
  return given.flatMap(({ role, rights }) => {
    const name = role === null ? undefined : roleOf(role);
    if (role !== null && name === undefined) return [];
    const grantee = name === undefined ? 'PUBLIC' : quoteIdentifier(name);
    return [false, true].flatMap((isPassedOn) => {
      const some = rights.filter((right) => right.endsWith('*') === isPassedOn).map((right) => right.replace('*', ''));
      if (some.length === 0) return [];
      const list = some.map((right) => `${right}${columns}`).join(', ');
      return [`GRANT ${list} ON ${object} TO ${grantee}${isPassedOn ? ' WITH GRANT OPTION' : ''}`];
    });
  });
}
