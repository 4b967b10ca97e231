import { SuiteError } from '@azora/db-core';

/** What Prisma's parser says of a schema (its DMMF), as far as the catalog reads it. */
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
  /** The file as messages name it. */
  readonly file: string;
  readonly text: string;
}

export interface SchemaFault {
  readonly file: string;
  readonly line: number | undefined;
  readonly message: string;
}

const FAULT = /error: ([\s\S]+?)\n\s+-->\s+.+:(\d+)\n/g;

/**
 * Parses schemas with Prisma's own parser, loaded on first use. Reports every schema that does not parse together.
 * @throws {SuiteError} `SCHEMA.INVALID` with file, line and Prisma's message
 */
export async function parseSchemas(sources: readonly SchemaSource[]): Promise<readonly Datamodel[]> {
  const { get_datamodel: parse } = await import('@prisma/prisma-schema-wasm');
  const faults: SchemaFault[] = [];
  const parsed: Datamodel[] = [];
  for (const { file, text } of sources) {
    try {
      // The whole DMMF holds every query type as well and takes ten times as long.
      parsed.push(JSON.parse(parse(JSON.stringify({ prismaSchema: [[file, text]], noColor: true }))));
    } catch (error) {
      faults.push(...faultsOf(file, error));
    }
  }
  if (faults.length > 0) throw invalidSchema(faults);
  return parsed;
}

/** One error for all faults, whichever schemas they are in. */
export function invalidSchema(faults: readonly SchemaFault[]): SuiteError {
  const files = [...new Set(faults.map(({ file }) => file))];
  return new SuiteError('SCHEMA.INVALID', `Prisma cannot read ${files.join(', ')}`, {
    kind: 'configuration',
    why: faults
      .map(({ file, line, message }) => `${line === undefined ? file : `${file}:${line}`}: ${message}`)
      .join('\n'),
    next: 'Correct the schema at the lines named',
    meta: { faults },
  });
}

/** The parser throws one text for all its findings, as JSON when it meant to and bare when it crashed. */
function faultsOf(file: string, error: unknown): readonly SchemaFault[] {
  const text = messageOf(error);
  const found = [...text.matchAll(FAULT)].map(([, message = '', line]) => ({ file, line: Number(line), message }));
  return found.length > 0 ? found : [{ file, line: undefined, message: text }];
}

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null && 'message' in parsed) return String(parsed.message);
  } catch {
    // Not JSON: the text itself is the message.
  }
  return text;
}
