import path from 'node:path';
import type { FileInput } from '../contents.store';
import type { FileState } from '../workspaces.store';
import type { CodeReader } from './reader';

const MAX_TITLE = 500;

/**
 * A file as chunks, as they are in an index. Parts that are blank are left out: they say nothing.
 * @throws {SuiteError} `CODE.GRAMMAR_MISSING`
 */
export async function readChunks(code: CodeReader, file: FileState, text: string): Promise<FileInput> {
  const language = code.languageOf(file.path);
  const chunks = (await code.chunkFile(file.path, text)).filter((chunk) => chunk.text.trim() !== '');
  return {
    ...file,
    contentType: language === undefined ? typeOf(file.path) : 'Code',
    chunks: chunks.map(({ text: content, name, kind, startLine: start, endLine: end }) => ({
      text: content,
      ...(name !== undefined && name.trim() !== '' && { title: shortened(name, MAX_TITLE) }),
      lines: { start, end },
      metadata: { kind, ...(language !== undefined && { language }) },
    })),
  };
}

function typeOf(file: string): string {
  return /^\.(md|markdown)$/i.test(path.posix.extname(file)) ? 'Markdown' : 'Text';
}

/** A text of at most the given number of characters; an ellipsis stands for the rest. */
export function shortened(text: string, max: number): string {
  if (text.length <= max) return text;
  const cut = text.slice(0, max - 1);
  return `${cut.isWellFormed() ? cut : cut.slice(0, -1)}…`;
}
