import path from 'node:path';
import { openEngine } from '@azora/db-fleet';
import type * as Wasm from '@prisma/schema-engine-wasm/schema_engine_bg';

/** The state of a database's migration history, as the engine reports it. */
export interface Diagnosis {
  readonly pending: readonly string[];
  readonly missing: readonly string[];
  readonly edited: readonly string[];
  readonly failed: readonly string[];
}

/** Prisma's own schema engine on one database, with which tests compare our migration runner. */
export interface PrismaEngine {
  readonly diagnose: (migrations: readonly MigrationText[]) => Promise<Diagnosis>;
  /** Applies the pending migrations and returns their names. The adapter splits at every semicolon, so SQL functions fail. */
  readonly apply: (migrations: readonly MigrationText[]) => Promise<readonly string[]>;
  readonly close: () => Promise<void>;
}

export interface MigrationText {
  readonly name: string;
  readonly sql: string;
}

const FILTERS = { externalTables: [], externalEnums: [] };

/** Opens the engine on a database, with the text of a `schema.prisma`. */
export async function openPrismaEngine(url: string, schema: string): Promise<PrismaEngine> {
  const { engine, close } = await openEngine(url, path.resolve('schema.prisma'), schema);
  return {
    diagnose: async (migrations) => {
      const input = { migrationsList: listOf(migrations), optInToShadowDatabase: false, filters: FILTERS };
      return diagnosisOf(await engine.diagnoseMigrationHistory(input));
    },
    apply: async (migrations) => {
      const output = await engine.applyMigrations({ migrationsList: listOf(migrations), filters: FILTERS });
      return output.appliedMigrationNames;
    },
    close,
  };
}

function listOf(migrations: readonly MigrationText[]): Wasm.MigrationList {
  return {
    baseDir: path.resolve('migrations'),
    lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"\n' },
    shadowDbInitScript: '',
    migrationDirectories: migrations.map(({ name, sql }) => ({
      path: name,
      migrationFile: { path: 'migration.sql', content: { tag: 'ok', value: sql } },
    })),
  };
}

function diagnosisOf(output: Wasm.DiagnoseMigrationHistoryOutput): Diagnosis {
  const { history } = output;
  return {
    pending: history !== null && 'unappliedMigrationNames' in history ? history.unappliedMigrationNames : [],
    missing: history !== null && 'unpersistedMigrationNames' in history ? history.unpersistedMigrationNames : [],
    edited: output.editedMigrationNames,
    failed: output.failedMigrationNames,
  };
}
