/** `GET /api/fleet`. */
export interface FleetAnswer {
  readonly write: boolean;
  readonly reveal: boolean;
  readonly services: readonly FleetService[];
  readonly links: readonly FleetLink[];
  /** Why the backup store could not be read. */
  readonly backupError?: ApiErrorBody | null;
}

export interface FleetService {
  readonly service: string;
  readonly database: string;
  readonly server: string | null;
  readonly write: boolean;
  readonly reachable: boolean;
  readonly error: ApiErrorBody | null;
  readonly pending: number | null;
  readonly drift: boolean | null;
  readonly rows: number | null;
  readonly sizeBytes: number | null;
  readonly newestBackup: { readonly id: string; readonly startedAt: string; readonly verified: boolean } | null;
  readonly hidden: readonly HiddenColumn[];
  readonly filled: readonly FilledColumn[];
}

/** A column that the generated client fills in a new row, and a time that it sets at each update. */
export interface FilledColumn {
  readonly table: string;
  readonly column: string;
  readonly by: 'cuid' | 'uuid' | 'time';
}

export interface HiddenColumn {
  readonly table: string;
  readonly column: string;
  readonly kind: 'pii' | 'secret';
}

/** A column whose values lead to rows of another table, often in another database. */
export interface FleetLink {
  readonly service: string;
  readonly table: string;
  readonly column: string;
  readonly toService: string;
  readonly toTable: string;
  readonly toColumn: string;
}

export interface ApiErrorBody {
  readonly code: string;
  readonly message: string;
  readonly why?: string;
  readonly next?: string;
}

/** `GET /api/overview`. */
export interface OverviewAnswer {
  readonly at: string;
  readonly services: readonly ServiceOverview[];
  /** Why the backup store could not be read. */
  readonly backupError?: ApiErrorBody | null;
}

export interface ServiceOverview {
  readonly service: string;
  readonly connections: number | null;
  readonly connectionLimit: number | null;
  readonly cacheHitRatio: number | null;
  readonly tables: readonly TableOverview[];
  readonly slowest: readonly SlowQuery[] | null;
  readonly oldestTransactionSeconds: number | null;
  readonly replicationLagBytes: number | null;
  readonly backupAgeSeconds: number | null;
  readonly error: ApiErrorBody | null;
}

export interface TableOverview {
  readonly name: string;
  readonly rows: number | null;
  readonly bytes: number | null;
  readonly deadRows: number | null;
  readonly indexUse: number | null;
}

export interface SlowQuery {
  readonly query: string;
  readonly calls: number;
  readonly meanMs: number;
}

/** `GET /api/services/<service>/references`. */
export interface ReferencesAnswer {
  readonly references: readonly ReferringColumn[];
  /** Services that could not be searched, so that references may be missing. */
  readonly errors?: readonly (ApiErrorBody & { readonly service: string })[];
}

/** A column that holds the value. */
export interface ReferringColumn {
  readonly service: string;
  readonly table: string;
  readonly column: string;
  /** Counted up to 1,001. */
  readonly rows: number;
}

/** `GET /api/models`. */
export interface ModelsAnswer {
  readonly services: readonly ServiceModels[];
  readonly references: readonly ModelReference[];
}

export interface ServiceModels {
  readonly service: string;
  readonly models: readonly Model[];
}

export interface Model {
  readonly name: string;
  readonly table: string;
  readonly columns: readonly ModelColumn[];
  readonly relations: readonly { readonly to: string; readonly columns: readonly string[] }[];
}

export interface ModelColumn {
  readonly name: string;
  readonly type: string;
  readonly isId: boolean;
  readonly isHidden: boolean;
}

export interface ModelReference {
  readonly from: ModelColumnPath;
  readonly to: ModelColumnPath;
}

export interface ModelColumnPath {
  readonly service: string;
  readonly model: string;
  readonly column: string;
}

/** `GET /api/events`. */
export interface EventsAnswer {
  readonly at: string;
  /** Whether the page can retry and discard dead letters. */
  readonly write: boolean;
  readonly sources: readonly OutboxState[];
  readonly consumers: readonly ConsumerState[];
  readonly deadLetters: readonly DeadLetter[];
  /** Also counts those that are not listed. */
  readonly deadLettersTotal: number;
}

export interface OutboxState {
  readonly service: string;
  /** Null if the outbox could not be read. */
  readonly outbox: { readonly waiting: number; readonly oldestSeconds: number | null } | null;
  readonly isRelayed: boolean;
  readonly relayed: number;
  readonly relayedAgoSeconds: number | null;
  readonly standsStill: boolean;
  readonly error: ApiErrorBody | null;
}

export interface ConsumerState {
  readonly name: string;
  readonly lag: number;
  readonly lagSeconds: number | null;
  readonly workers: number;
  readonly lanesWithoutWorker: number;
  readonly parkedKeys: number;
  readonly retries: number;
  readonly dead: number;
  readonly standsStill: boolean;
}

export interface DeadLetter {
  readonly consumer: string;
  readonly position: string;
  readonly type: string;
  readonly key: string;
  readonly attempts: number;
  readonly lastError: string | null;
  readonly failedAt: string;
}
