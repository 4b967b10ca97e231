import { readFile } from 'node:fs/promises';
import { cannotRead } from '../errors';
import { decodeText } from './json-text';

/** A task of Aurora: the head of a text file, and the prose under it. */
export interface TaskFile {
  readonly bytes: Buffer;
  /** The values of the head by their names in lower case, such as `task type`. */
  readonly fields: ReadonlyMap<string, string>;
  /** The line that begins with `# `. */
  readonly title: string | undefined;
  readonly prose: string;
}

const FIELD = /^([A-Za-z][A-Za-z_ ]{1,30}):[ \t]*(\S.*)?$/;

/**
 * Reads a task in either dialect: `TASK:`, `PRIORITY:`, `STATUS:` … or a `# Title` line before `Task Type:`, `Priority:` … The
 * head ends at the first line that is neither. An empty file is a task without a head.
 * @throws {SuiteError} `IMPORT.CANNOT_READ`
 * @throws {Rejection} `INVALID_UTF8`, `INVALID_VALUE`
 */
export async function readTaskFile(file: string): Promise<TaskFile> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    throw cannotRead(file, error);
  }
  const lines = decodeText(bytes)
    .replace(/^\ufeff/, '')
    .split(/\r?\n/);
  const fields = new Map<string, string>();
  let title: string | undefined;
  let at = 0;
  for (; at < lines.length; at += 1) {
    const line = lines[at] ?? '';
    const [, name, value] = FIELD.exec(line) ?? [];
    if (name !== undefined && value !== undefined) fields.set(name.toLowerCase().replaceAll('_', ' '), value.trim());
    else if (title === undefined && line.startsWith('# ')) title = line.slice(2).trim();
    else if (line.trim() !== '' || fields.size > 0 || title !== undefined) break;
  }
  return { bytes, fields, title, prose: lines.slice(at).join('\n').trim() };
}
