import { readFile } from 'node:fs/promises';
import { SuiteError } from '@azora/db-core/errors';
import { quoteIdentifier } from '@azora/db-core/quote';
import type { ClientBase } from 'pg';

/** The rights on a table that `@grant` may name. An app role has all of them on a table without the annotation. */
export const TABLE_PRIVILEGES = ['select', 'insert', 'update', 'delete'] as const;

export type TablePrivilege = (typeof TABLE_PRIVILEGES)[number];

/** The rights of an app role on each table, by table name. A table that is not in the map gives no rights. */
export type TableGrants = ReadonlyMap<string, readonly TablePrivilege[]>;

const MODEL = /^model\s+(\w+)\s*\{\s*(?:\/\/.*)?$/;
const END = /^\}\s*(?:\/\/.*)?$/;
const MAP = /^@@map\((?:name:\s*)?"([^"]+)"\)/;
const GRANT_IN_COMMENT = /\/\/.*@grant\b/;
const ANNOTATION = /^@(\w+)\s*(.*)$/;
/** Other annotations of models. A word outside of this list may be a misspelled `@grant`, so it is an error. */
const OTHER_MODEL_ANNOTATIONS = ['erase', 'retain'];

/**
 * Reads the rights of the app role from `/// @grant` and `@@map` in a schema.prisma. This reads lines only: the full parser
 * takes longer than a run over all databases.
 * @throws {SuiteError} `SCHEMA.INVALID` if the file cannot be read, `SCHEMA.INVALID_ANNOTATION` with file and line for an annotation
 *   that cannot be read
 */
export async function readGrants(file: string): Promise<TableGrants> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new SuiteError('SCHEMA.INVALID', `${file} cannot be read`, {
      kind: 'configuration',
      why: `${error.code ?? error.message}.`,
      next: 'Restore the file, or correct its path',
      meta: { file },
      cause: error,
    });
  });
  const lines = text.split(/\r?\n/).map((line, index): Line => ({ line: index + 1, text: line.trim() }));
  const invalid: Invalid = (line, why) => {
    throw invalidGrant(file, line, why);
  };
  const grants = new Map<string, readonly TablePrivilege[]>();
  const comments = new Set<Line>();
  for (const [at, { text: code }] of lines.entries()) {
    const name = MODEL.exec(code)?.[1];
    if (name === undefined) continue;
    const comment = commentAbove(lines, at);
    for (const line of comment) comments.add(line);
    grants.set(mappedName(lines, at) ?? name, privilegesOf(comment, invalid));
  }
  const misplaced = lines.find((line) => GRANT_IN_COMMENT.test(line.text) && !comments.has(line));
  if (misplaced !== undefined) {
    invalid(misplaced.line, '"@grant" belongs in the "///" comment directly above a model');
  }
  return grants;
}

interface Line {
  readonly line: number;
  readonly text: string;
}

type Invalid = (line: number, why: string) => void;

/** The `///` lines that belong to the model at that index; `//` lines between them do not end the comment. */
function commentAbove(lines: readonly Line[], model: number): readonly Line[] {
  const comment: Line[] = [];
  for (let at = model - 1; lines[at]?.text.startsWith('//'); at -= 1) {
    const line = lines[at];
    if (line?.text.startsWith('///')) comment.unshift(line);
  }
  return comment;
}

function mappedName(lines: readonly Line[], model: number): string | undefined {
  const inside = lines.slice(model + 1);
  const end = inside.findIndex(({ text }) => END.test(text));
  return inside.slice(0, end).flatMap(({ text }) => MAP.exec(text)?.[1] ?? [])[0];
}

function privilegesOf(comment: readonly Line[], invalid: Invalid): readonly TablePrivilege[] {
  let privileges: readonly TablePrivilege[] | undefined;
  for (const { line, text: raw } of comment) {
    const text = raw.replace(/^\/+\s*/, '');
    const [, word = '', argument = ''] = ANNOTATION.exec(text) ?? [];
    if (word === '' && /\s@grant\b/.test(text)) invalid(line, '"@grant" must stand on a line of its own');
    if (word === '' || OTHER_MODEL_ANNOTATIONS.includes(word)) continue;
    if (word !== 'grant') invalid(line, `"@${word}" is not an annotation of a model`);
    if (privileges !== undefined) invalid(line, '"@grant" appears twice above the same model');
    privileges = parsePrivileges(argument);
    if (privileges === undefined) invalid(line, `"${text}" must read "@grant ${TABLE_PRIVILEGES.join(', ')}"`);
  }
  return privileges ?? TABLE_PRIVILEGES;
}

/** The rights in the argument of `@grant`, in the order of {@link TABLE_PRIVILEGES}; undefined if it cannot be read. */
export function parsePrivileges(text: string): readonly TablePrivilege[] | undefined {
  const names = text.split(',').map((name) => name.trim());
  const privileges = TABLE_PRIVILEGES.filter((privilege) => names.includes(privilege));
  return privileges.length === names.length ? privileges : undefined;
}

function invalidGrant(file: string, line: number, why: string): SuiteError {
  return new SuiteError('SCHEMA.INVALID_ANNOTATION', `${file}:${line} has an annotation that cannot be read`, {
    kind: 'configuration',
    why: `${why}.`,
    next: 'Correct the annotation; "npm run db:docs" checks all of them',
    meta: { file, line },
  });
}

/**
 * Makes the app role's rights on the existing tables exactly those in `grants`, and leaves rights alone that are already
 * right. On the sequences of tables that the role inserts into, it may read and advance: inserting and seeding with fixed
 * ids need both.
 */
export async function syncGrants(client: ClientBase, role: string, grants: TableGrants): Promise<void> {
  const { rows } = await client.query<RelationRights>(RELATION_RIGHTS, [role]);
  const app = quoteIdentifier(role);
  const statements = rows.flatMap(({ kind, name, held, table_name }) => {
    const wanted = wantedRights(kind, grants.get(table_name) ?? []);
    if (sameSet(wanted, held)) return [];
    const relation = `${kind} ${quoteIdentifier(name)}`;
    const revoke = `REVOKE ALL ON ${relation} FROM ${app}`;
    return wanted.length === 0 ? [revoke] : [revoke, `GRANT ${wanted.join(', ')} ON ${relation} TO ${app}`];
  });
  if (statements.length > 0) await client.query(statements.join(';\n'));
}

interface RelationRights {
  readonly kind: 'TABLE' | 'SEQUENCE';
  readonly name: string;
  /** The table itself, or the table whose column uses the sequence. */
  readonly table_name: string;
  readonly held: readonly string[];
}

function wantedRights(kind: RelationRights['kind'], privileges: readonly TablePrivilege[]): readonly string[] {
  if (kind === 'TABLE') return privileges.map((privilege) => privilege.toUpperCase());
  return privileges.includes('insert') ? ['USAGE', 'SELECT', 'UPDATE'] : [];
}

function sameSet(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((item) => right.includes(item));
}

const RELATION_RIGHTS = `
  SELECT CASE relation.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
         relation.relname::text AS name,
         coalesce(owner_table.relname, relation.relname)::text AS table_name,
         ARRAY(SELECT acl.privilege_type FROM aclexplode(relation.relacl) acl
               WHERE acl.grantee = (SELECT oid FROM pg_roles WHERE rolname = $1)) AS held
  FROM pg_class relation
  LEFT JOIN pg_depend owned ON owned.objid = relation.oid AND owned.classid = 'pg_class'::regclass
    AND owned.refclassid = 'pg_class'::regclass AND owned.deptype IN ('a', 'i') AND relation.relkind = 'S'
  LEFT JOIN pg_class owner_table ON owner_table.oid = owned.refobjid
  WHERE relation.relnamespace = 'public'::regnamespace AND relation.relkind IN ('r', 'p', 'S')
  ORDER BY relation.relname`;
