import type { NodeKind } from '../syntax/facts';

export interface Chunk {
  /** A part of the file; the texts of all chunks, joined, are the text of the file. */
  readonly text: string;
  /** From 1, both inclusive. */
  readonly startLine: number;
  readonly endLine: number;
  /** The kind of its definition; `section` in Markdown, `code` for several small definitions or statements, else `text`. */
  readonly kind: NodeKind | 'section' | 'code' | 'text';
  /** The definition or the heading; undefined for statements outside definitions and for plain text. */
  readonly name: string | undefined;
}
