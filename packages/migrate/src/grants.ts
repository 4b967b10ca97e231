import { readFile } from 'node:fs/promises';
import { SuiteError } from '@azora/db-core/errors';
import { similarNames } from '@azora/db-core/similar-names';
import { dottedName } from './names';

/** The rights on a table that `@grant` may name. An app role has all of them on a table without the annotation. */
export const TABLE_PRIVILEGES = ['select', 'insert', 'update', 'delete'] as const;

export type TablePrivilege = (typeof TABLE_PRIVILEGES)[number];

/**
 * The rights of an app role on each table and view, by the name that {@link dottedName} gives. A relation that is not in the map gives
 * no rights.
 */
export type TableGrants = ReadonlyMap<string, readonly TablePrivilege[]>;

const MODEL = /^(model|view)\s+(\w+)\s*\{\s*(?:\/\/.*)?$/;
const END = /^\}\s*(?:\/\/.*)?$/;
const MAP = /^@@map\((?:name:\s*)?("(?:[^"\\]|\\.)+")\s*\)/;
const SCHEMA = /^@@schema\((?:map:\s*)?("(?:[^"\\]|\\.)+")\s*\)/;
const GRANT_IN_COMMENT = /\/\/.*@grant\b/;
const ANNOTATION = /^@(\w+)\s*(.*)$/;
/** The annotation of this file. A similar word is probably a misspelled one, so it is an error; all others belong to other readers. */
const GRANT = ['grant'];

/** The rights on a model or view without `@grant`. Who writes to a view writes with the rights of its owner. */
export function defaultPrivileges(kind: string | undefined): readonly TablePrivilege[] {
  return kind === 'view' ? ['select'] : TABLE_PRIVILEGES;
}

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
    const [, kind, name] = MODEL.exec(code) ?? [];
    if (name === undefined) continue;
    const comment = commentAbove(lines, at);
    for (const line of comment) comments.add(line);
    const relation = dottedName(blockAttribute(lines, at, SCHEMA), blockAttribute(lines, at, MAP) ?? name);
    grants.set(relation, privilegesOf(comment, invalid) ?? defaultPrivileges(kind));
  }
  const misplaced = lines.find((line) => GRANT_IN_COMMENT.test(line.text) && !comments.has(line));
  if (misplaced !== undefined) {
    invalid(misplaced.line, '"@grant" belongs in the "///" comment directly above a model or view');
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

function blockAttribute(lines: readonly Line[], model: number, attribute: RegExp): string | undefined {
  const inside = lines.slice(model + 1);
  const end = inside.findIndex(({ text }) => END.test(text));
  const [quoted] = inside.slice(0, end).flatMap(({ text }) => attribute.exec(text)?.[1] ?? []);
  // Prisma's strings have the escapes of JSON.
  return quoted === undefined ? undefined : String(JSON.parse(quoted));
}

/** The rights that the comment gives; undefined if it says nothing about them. */
function privilegesOf(comment: readonly Line[], invalid: Invalid): readonly TablePrivilege[] | undefined {
  let privileges: readonly TablePrivilege[] | undefined;
  for (const { line, text: raw } of comment) {
    const text = raw.replace(/^\/+\s*/, '');
    const [, word = '', argument = ''] = ANNOTATION.exec(text) ?? [];
    if (word === '' && /\s@grant\b/.test(text)) invalid(line, '"@grant" must stand on a line of its own');
    if (similarNames(word, GRANT).length === 0) continue;
    if (word !== 'grant') invalid(line, `"@${word}" is not an annotation of a model, but "@grant" is`);
    if (privileges !== undefined) invalid(line, '"@grant" appears twice above the same model');
    privileges = parsePrivileges(argument);
    if (privileges === undefined) invalid(line, `"${text}" must read "@grant ${TABLE_PRIVILEGES.join(', ')}"`);
  }
  return privileges;
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
