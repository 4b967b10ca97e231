import type { Pool } from 'pg';
import type { Storage } from '../../backup-store/storage';
import type { SchemaModel } from '../../schema/schema-model';
import type { Target } from '../targets';

/** A column whose values the studio does not show. */
export interface HiddenColumn {
  readonly table: string;
  readonly column: string;
  readonly kind: 'pii' | 'secret';
}

/** Where a service keeps who changed what in it. */
export interface AuditLog {
  readonly table: string;
  /** The columns of every table's primary key, by the table's name. */
  readonly keys: ReadonlyMap<string, readonly string[]>;
}

/** How the studio reaches one service's database. */
export interface StudioAccess {
  /**
   * `role`: sessions of the studio's own role, held to its rights by the database. `companion`: PGlite, whose one session is
   * the superuser's.
   */
  readonly kind: 'role' | 'companion';
  /** Where edits are told; undefined where the studio reads only. */
  readonly audit: AuditLog | undefined;
  /** What the role may not read; nothing with `--reveal`. Known after {@link open}; before, as the schema has it. */
  readonly hidden: () => readonly HiddenColumn[];
  /**
   * The pool of the studio's role, which is made at the first call; one that failed is tried again at the next.
   * @throws {SuiteError} `SERVER.…`, `STUDIO.…`
   */
  readonly open: () => Promise<Pool>;
  /** Ends one session of that pool on the server, with what it is doing. Never throws. */
  readonly cutOff: (processId: number) => Promise<void>;
}

/** What the studio's server knows. The administrator's URLs in it never leave the process. */
export interface StudioContext {
  /** Those that are shown, in the order of the services. */
  readonly targets: readonly Target[];
  /** Of the whole suite, so that references lead to services that are not shown. */
  readonly schemaModel: SchemaModel;
  /** Where backup sets are kept; opened anew for each question, for a place may come and go. */
  readonly openStorage: () => Promise<Storage>;
  readonly write: boolean;
  readonly reveal: boolean;
  /** By the service's name; one for each target. */
  readonly access: ReadonlyMap<string, StudioAccess>;
}
