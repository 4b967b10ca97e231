import { isRecord, SuiteError } from '@azora/db-core';
import type { DocLine } from './annotations';

/** The parts of Prisma's data model (DMMF) that the schema model uses. */
export interface Datamodel {
  readonly enums: readonly PslEnum[];
  readonly models: readonly PslModel[];
  readonly indexes: readonly PslIndex[];
}

interface PslEnum {
  readonly name: string;
  readonly dbName?: string | null;
  readonly values: readonly { readonly name: string; readonly dbName?: string | null }[];
}

export interface PslModel {
  readonly name: string;
  readonly dbName: string | null;
  readonly fields: readonly PslField[];
}

export interface PslField {
  readonly name: string;
  readonly dbName?: string;
  readonly kind: 'scalar' | 'enum' | 'object' | 'unsupported';
  readonly type: string;
  readonly nativeType?: readonly [string, readonly string[]] | null;
  readonly isList: boolean;
  readonly isRequired: boolean;
  readonly default?: unknown;
  readonly isUpdatedAt?: boolean;
  readonly relationFromFields?: readonly string[];
  readonly relationToFields?: readonly string[];
  readonly relationOnDelete?: string;
}

export interface PslIndex {
  readonly model: string;
  readonly type: 'id' | 'unique' | 'normal' | 'fulltext';
  readonly dbName?: string;
  readonly fields: readonly { readonly name: string }[];
}

export interface SchemaSource {
  /** The file name for messages. */
  readonly file: string;
  readonly text: string;
}

export interface ParseProblem {
  readonly file: string;
  readonly line: number | undefined;
  readonly message: string;
}

const DATASOURCE = /^[ \t]*datasource\s+\w+\s*\{[^\n]*\n(?:(?![ \t]*\})[^\n]*\n)*/gm;
const CONNECTION = /^[ \t]*(?:url|directUrl|shadowDatabaseUrl)[ \t]*=.*$/gm;

/**
 * The schema without the URLs of its datasource, in the same lines. Prisma 7 takes them from prisma.config.ts and refuses them in a
 * schema, where earlier versions required one. This toolkit connects with its own URLs.
 */
export function withoutUrls(schema: string): string {
  return schema.replace(DATASOURCE, (block) => block.replace(CONNECTION, ''));
}

const FAULT = /error: ([\s\S]+?)\n\s+-->\s+.+:(\d+)\n/g;

/**
 * Parses schemas with Prisma's own parser, which loads on first use. One error reports all schemas that do not parse.
 * @throws {SuiteError} `SCHEMA.INVALID` with file, line and Prisma's message
 */
export async function parseSchemas(sources: readonly SchemaSource[]): Promise<readonly Datamodel[]> {
  const { get_datamodel: parse } = await import('@prisma/prisma-schema-wasm');
  const problems: ParseProblem[] = [];
  const parsed: Datamodel[] = [];
  for (const { file, text } of sources) {
    try {
      // The whole DMMF includes every query type and takes ten times as long.
      parsed.push(JSON.parse(parse(JSON.stringify({ prismaSchema: [[file, withoutUrls(text)]], noColor: true }))));
    } catch (error) {
      problems.push(...problemsOf(file, error));
    }
  }
  if (problems.length > 0) throw invalidSchema(problems);
  return parsed;
}

/** One error for the problems of all schemas. */
export function invalidSchema(problems: readonly ParseProblem[]): SuiteError {
  const files = [...new Set(problems.map(({ file }) => file))];
  return new SuiteError('SCHEMA.INVALID', `Prisma cannot read ${files.join(', ')}`, {
    kind: 'configuration',
    why: problems
      .map(({ file, line, message }) => `${line === undefined ? file : `${file}:${line}`}: ${message}`)
      .join('\n'),
    next: 'Correct the schema at these lines',
    meta: { problems },
  });
}

/** The parser throws one text for all its problems: as JSON, or as plain text when it crashed. */
function problemsOf(file: string, error: unknown): readonly ParseProblem[] {
  const text = messageOf(error);
  const found = [...text.matchAll(FAULT)].map(([, message = '', line]) => ({ file, line: Number(line), message }));
  return found.length > 0 ? found : [{ file, line: undefined, message: text }];
}

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  try {
    const parsed: unknown = JSON.parse(text);
    if (isRecord(parsed) && 'message' in parsed) return String(parsed['message']);
  } catch {
    // Plain text is the message itself.
  }
  return text;
}

/** A declaration with its line and the `///` comment that Prisma attaches to it. */
export interface Declaration {
  readonly line: number;
  /** The line without its comment. */
  readonly code: string;
  readonly doc: readonly DocLine[];
}

export interface BlockLines extends Declaration {
  readonly kind: string;
  readonly name: string;
  /** Fields of a model, values of an enum. */
  readonly members: ReadonlyMap<string, Declaration>;
  /** The name in the database that `@@map` gives. */
  readonly mapped?: string | undefined;
}

export interface SchemaLines {
  readonly blocks: readonly BlockLines[];
  /** Comments that Prisma attaches to nothing: with two slashes, before an empty line, or above an attribute. */
  readonly stray: readonly DocLine[];
}

type OpenBlock = BlockLines & { readonly members: Map<string, Declaration>; mapped?: string | undefined };

const BLOCK = /^(\w+)\s+(\w+)\s*\{$/;
const MEMBER = /^([A-Za-z]\w*)(?:\s|$)/;
const MAP = /^@@map\((?:name:\s*)?("(?:[^"\\]|\\.)+")\s*\)/;
const CODE_AND_COMMENT = /^((?:[^"/]|"(?:[^"\\]|\\.)*"|\/(?!\/))*)(\/\/.*)?$/;

/**
 * Finds the lines of models, enums and fields, which Prisma's parser does not report. The parser must have accepted the
 * schema, because then every declaration has a line of its own.
 */
export function scanSchema(text: string): SchemaLines {
  const blocks: OpenBlock[] = [];
  const stray: DocLine[] = [];
  let pending: DocLine[] = [];
  let isInside = false;
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = index + 1;
    const { code, comment } = splitLine(raw);
    if (comment !== '') {
      const place = comment.startsWith('///') ? pending : stray;
      place.push({ line, text: comment.replace(/^\/{2,3}/, '').trim() });
      if (code === '') continue;
    }
    const declaration = { line, code, doc: pending };
    pending = [];
    if (!declare(blocks, isInside, declaration)) stray.push(...declaration.doc);
    isInside = isInside ? code !== '}' : BLOCK.test(code);
  }
  return { blocks, stray: [...stray, ...pending] };
}

/** Adds the line as the beginning of a block or as a member of the last block; false when it is neither. */
function declare(blocks: OpenBlock[], isInside: boolean, declaration: Declaration): boolean {
  const [, kind, name] = BLOCK.exec(declaration.code) ?? [];
  if (!isInside && kind !== undefined && name !== undefined) {
    blocks.push({ ...declaration, kind, name, members: new Map() });
    return true;
  }
  const open = blocks.at(-1);
  const mapped = MAP.exec(declaration.code)?.[1];
  if (isInside && mapped !== undefined && open !== undefined) open.mapped = String(JSON.parse(mapped));
  const member = MEMBER.exec(declaration.code)?.[1];
  if (!isInside || member === undefined) return false;
  open?.members.set(member, declaration);
  return true;
}

function splitLine(raw: string): { readonly code: string; readonly comment: string } {
  const [, code = '', comment = ''] = CODE_AND_COMMENT.exec(raw) ?? [];
  return { code: code.trim(), comment: comment.trim() };
}
