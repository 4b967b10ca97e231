import type { DocLine } from './annotations';

/** Where something is declared, and the `///` comment that Prisma attaches to it. */
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
  /** What `@@map` calls it in the database. */
  readonly mapped?: string | undefined;
}

export interface SchemaLines {
  readonly blocks: readonly BlockLines[];
  /** Comments that belong to nothing: with two slashes, before an empty line, or above an attribute. */
  readonly stray: readonly DocLine[];
}

type OpenBlock = BlockLines & { readonly members: Map<string, Declaration>; mapped?: string | undefined };

const BLOCK = /^(\w+)\s+(\w+)\s*\{$/;
const MEMBER = /^([A-Za-z]\w*)(?:\s|$)/;
const MAP = /^@@map\((?:name:\s*)?"([^"]+)"\)/;
const CODE_AND_COMMENT = /^((?:[^"/]|"(?:[^"\\]|\\.)*"|\/(?!\/))*)(\/\/.*)?$/;

/**
 * Finds on which line each model, enum and field stands, which Prisma's parser does not tell, for a schema that it has
 * accepted: there every declaration has a line of its own.
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

/** Takes the line as a block's beginning or a member of the last block; false when it is neither. */
function declare(blocks: OpenBlock[], isInside: boolean, declaration: Declaration): boolean {
  const [, kind, name] = BLOCK.exec(declaration.code) ?? [];
  if (!isInside && kind !== undefined && name !== undefined) {
    blocks.push({ ...declaration, kind, name, members: new Map() });
    return true;
  }
  const open = blocks.at(-1);
  const mapped = MAP.exec(declaration.code)?.[1];
  if (isInside && mapped !== undefined && open !== undefined) open.mapped = mapped;
  const member = MEMBER.exec(declaration.code)?.[1];
  if (!isInside || member === undefined) return false;
  open?.members.set(member, declaration);
  return true;
}

function splitLine(raw: string): { readonly code: string; readonly comment: string } {
  const [, code = '', comment = ''] = CODE_AND_COMMENT.exec(raw) ?? [];
  return { code: code.trim(), comment: comment.trim() };
}
