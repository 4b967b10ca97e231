import { EventEmitter } from 'node:events';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { SqlDriverAdapter, SqlQuery, SqlResultSet } from '@prisma/driver-adapter-utils';
import type * as Wasm from '@prisma/schema-engine-wasm/schema_engine_bg';
import { type FieldDef, Pool, type PoolClient } from 'pg';

/** Prisma's schema engine, compiled to WebAssembly, connected to one database. */
export interface OpenEngine {
  readonly engine: Wasm.SchemaEngine;
  readonly close: () => Promise<void>;
}

const CHAR_OID = 18;
const TEXT_OID = 25;

/** Opens the engine on a database, with the text of a schema.prisma under the name `file`. */
export async function openEngine(url: string, file: string, schema: string): Promise<OpenEngine> {
  // One connection, because the engine's advisory lock belongs to a session.
  const pool = new Pool({ connectionString: url, max: 1 });
  pool.on('error', () => undefined);
  pool.on('connect', readCharAsText);
  const { SchemaEngine } = await loadEngine();
  // Loaded only by the commands that use the engine.
  const { PrismaPg } = await import('@prisma/adapter-pg');
  const { bindMigrationAwareSqlAdapterFactory } = await import('@prisma/driver-adapter-utils');
  const adapters = new PrismaPg(pool);
  const factory = bindMigrationAwareSqlAdapterFactory({
    provider: adapters.provider,
    adapterName: adapters.adapterName,
    connect: () => connectWithCharacters(adapters),
    // The adapter's own implementation drops the wrong database, and nothing here needs a shadow database.
    connectToShadowDb: () => Promise.reject(new Error('no shadow database')),
  });
  const engine = await SchemaEngine.new({ datamodels: [[file, schema]] }, () => undefined, factory);
  return {
    engine,
    close: async () => {
      engine.free();
      await pool.end();
    },
  };
}

/** The used part of the WebAssembly API. Its types belong to the browser's library, which Node programs do not load. */
declare const WebAssembly: {
  instantiate(
    bytes: Uint8Array,
    imports: Readonly<Record<string, object>>,
  ): Promise<{ readonly instance: { readonly exports: Readonly<Record<string, unknown>> } }>;
};

let loaded: Promise<typeof Wasm> | undefined;

function loadEngine(): Promise<typeof Wasm> {
  loaded ??= instantiateEngine();
  return loaded;
}

/** The package's own entry imports the .wasm file as a module, which Node cannot do. */
async function instantiateEngine(): Promise<typeof Wasm> {
  const name = '@prisma/schema-engine-wasm/schema_engine_bg';
  const bindings: typeof Wasm = await import('@prisma/schema-engine-wasm/schema_engine_bg');
  const bytes = await readFile(path.join(path.dirname(require.resolve(name)), 'schema_engine_bg.wasm'));
  const imports = Object.entries(bindings).map(([key, value]) => [key, /setTimeout/.test(key) ? unrefTimeout : value]);
  const { instance } = await WebAssembly.instantiate(bytes, { './schema_engine_bg.js': Object.fromEntries(imports) });
  bindings.__wbg_set_wasm(instance.exports);
  const start = instance.exports['__wbindgen_start'];
  if (typeof start !== 'function') throw new Error('the schema engine has no start function');
  start();
  return bindings;
}

/** The engine starts a timer of ten seconds for its lock and never clears it; the process must not wait for that timer. */
function unrefTimeout(callback: () => void, milliseconds: number): NodeJS.Timeout {
  return setTimeout(callback, milliseconds).unref();
}

/** Some columns of PostgreSQL's catalog have the type "char", which the adapter cannot read; it reads them as text. */
function readCharAsText(client: PoolClient): void {
  if (!('connection' in client && client.connection instanceof EventEmitter)) return;
  client.connection.on('rowDescription', ({ fields }: { readonly fields: FieldDef[] }) => {
    for (const field of fields) if (field.dataTypeID === CHAR_OID) field.dataTypeID = TEXT_OID;
  });
}

/** The engine requires the type character in this one column, once a table has a constraint. */
async function connectWithCharacters(factory: {
  readonly connect: () => Promise<SqlDriverAdapter>;
}): Promise<SqlDriverAdapter> {
  const { ColumnTypeEnum } = await import('@prisma/driver-adapter-utils');
  const adapter = await factory.connect();
  const queryRaw = adapter.queryRaw.bind(adapter);
  return Object.assign(adapter, {
    queryRaw: async (query: SqlQuery): Promise<SqlResultSet> => {
      const { columnTypes, ...result } = await queryRaw(query);
      const types = columnTypes.map((type, at) =>
        result.columnNames[at] === 'constraint_type' ? ColumnTypeEnum.Character : type,
      );
      return { ...result, columnTypes: types };
    },
  });
}
