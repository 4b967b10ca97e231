import type { Script } from '@azora/db-migrate';
import type { ParsedStatement } from '../parse';
import type { UnmanagedObjects } from './unmanaged-objects';

export type Direction = 'up' | 'down';

/** A file of a migration as the rules see it. */
export interface LintedScript {
  readonly script: Script;
  /** `up` for migration.sql, which `prisma migrate deploy` and psql run too; `down` for down.sql, which the runner alone does. */
  readonly direction: Direction;
  readonly statements: readonly ParsedStatement[];
  /** What the migrations before it made that schema.prisma cannot express. */
  readonly unmanaged: UnmanagedObjects;
}

/** What a rule has against a place of a file. */
export interface Finding {
  readonly rule: string;
  readonly level: 'warning' | 'error';
  /** Where in the file, in UTF-16 units. */
  readonly offset: number;
  readonly message: string;
  /** What to do. */
  readonly help: string;
}

export type Rule = (file: LintedScript) => readonly Finding[];
