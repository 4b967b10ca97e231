import path from 'node:path';
import type { DatabaseUrl } from '@azora/db-core';
import type { DiffTarget } from '@prisma/schema-engine-wasm/schema_engine_bg';
import { openEngine } from './engine';

export interface SchemaDiff {
  /** The SQL that leads from the database to the schema; empty when nothing is left to do. */
  readonly up: string;
  /** The SQL that leads back. */
  readonly down: string;
}

const FILTERS = { externalTables: [], externalEnums: [] };
const NOTHING = /^-- This is an empty migration\.\s*$/;

/** Compares a database with the text of a schema.prisma, as Prisma's own engine sees both. Nothing is changed. */
export async function diffSchema(url: DatabaseUrl, schema: string): Promise<SchemaDiff> {
  const file = path.resolve('schema.prisma');
  const { engine, close } = await openEngine(url.href, file, schema);
  const files = [{ path: file, content: schema }];
  const database: DiffTarget = { tag: 'schemaDatasource', files, configDir: path.dirname(file) };
  const datamodel: DiffTarget = { tag: 'schemaDatamodel', files };
  const script = async (from: DiffTarget, to: DiffTarget) => {
    const { stdout } = await engine.diff({ from, to, script: true, exitCode: null, filters: FILTERS });
    return NOTHING.test(stdout ?? '') ? '' : (stdout ?? '').trim();
  };
  try {
    return { up: await script(database, datamodel), down: await script(datamodel, database) };
  } finally {
    await close();
  }
}
