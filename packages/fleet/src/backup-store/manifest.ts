import { isRecord, SuiteError } from '@azora/db-core';
import { z } from 'zod';
import { SET_ID } from './storage';

/** The backup chooses the names of files, so that no database or table name decides where a file is read or written. */
const fileName = z.string().regex(/^[a-z0-9-]+\/[a-z0-9._-]+$/);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.int().nonnegative();

const file = z.strictObject({ path: fileName, bytes: count, sha256 });

const table = z.strictObject({
  schema: z.string(),
  name: z.string(),
  columns: z.array(z.string()),
  /** Which rows of an extension's configuration table were stored, as `WHERE …` or empty; null for any other table. */
  filter: z.string().nullable(),
  rows: count,
  /** The size of the rows as COPY text, before compression. */
  bytes: count,
  /** The SHA-256 of the same text. A restored table is compared with it. */
  contentSha256: sha256,
  /** Null when the rows are in the pg_dump archive. */
  file: file.nullable(),
  /** The set that stored the file first: this one, or an earlier one that had the same rows. */
  storedBy: z.string().regex(SET_ID),
});

/** Shows a later backup which tables are unchanged. */
const baseline = z.strictObject({
  /** A hash that identifies the database in one run of its server; null when the server did not say when it began. */
  server: sha256.nullable(),
  /** A hash of what decides how rows are printed; null when a column prints what other catalogs say. */
  catalog: sha256.nullable(),
  /** All transactions with smaller ids had ended. */
  horizon: z.string().regex(/^\d+$/),
});

const sequence = z.strictObject({
  schema: z.string(),
  name: z.string(),
  lastValue: z.string().regex(/^-?\d+$/),
  isCalled: z.boolean(),
});

const database = z.strictObject({
  service: z.string().regex(/^[a-z][a-z0-9-]*$/),
  database: z.string(),
  server: z.enum(['ordinary', 'embedded', 'companion']),
  serverVersion: z.string(),
  /** The size of the database on its server, which is about what a restored one needs. */
  sizeBytes: count,
  extensions: z.array(z.strictObject({ name: z.string(), version: z.string() })),
  migrations: z.array(z.strictObject({ name: z.string(), checksum: z.string() })),
  /** Whether the schema differed from what its migrations make. */
  drifted: z.boolean(),
  snapshot: z.strictObject({ takenAt: z.iso.datetime(), lsn: z.string() }),
  /** The roles other than the administrator that had privileges, and which. */
  roles: z.array(z.strictObject({ name: z.string(), attributes: z.string(), grants: z.array(z.string()).readonly() })),
  schema: z.strictObject({ preData: file, postData: file }),
  /** Owners, rights and settings; null in a set of an earlier version. */
  access: file.nullable(),
  tables: z.array(table),
  sequences: z.array(sequence),
  /** The database in pg_dump's custom format; null when each table has a file of its own. */
  archive: file.nullable(),
  /** `restore.sql` for plain psql; null for encrypted sets and archives, which psql cannot read. */
  script: file.nullable(),
  /**
   * How many problems the queries in `prisma/checks.sql` found in the snapshot, and which queries; null when the service
   * has none, or when they could not run.
   */
  checks: z.strictObject({ sha256, problems: count }).nullable(),
  /** Null in a set of an earlier version. */
  baseline: baseline.nullable(),
});

/** A service that the backup could not include. */
const missing = z.strictObject({
  service: z.string(),
  /** The code and the message of the error. */
  code: z.string(),
  reason: z.string(),
});

/** A column with ids of another service, and the number of distinct ids that did not exist there. */
const reference = z.strictObject({ from: z.string(), to: z.string(), orphans: count });

/** The schema of `manifest.json`; docs/FORMATS.md describes each field. */
export const manifestSchema = z.strictObject({
  format: z.literal(4),
  id: z.string().regex(SET_ID),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  suiteVersion: z.string(),
  masked: z.boolean(),
  encryption: z.enum(['age']).nullable(),
  /** The longest time between the snapshots of two databases. */
  skewMs: z.number().nonnegative(),
  /** How long the write fence was held; null for a backup without one. */
  fence: z.strictObject({ heldMs: z.number().nonnegative() }).nullable(),
  databases: z.array(database),
  missing: z.array(missing),
  /** The references between the snapshots of the set. */
  references: z.array(reference),
});

/** The third version, whose tables were all stored anew. */
const thirdDatabase = database.omit({ baseline: true }).extend({ tables: z.array(table.omit({ storedBy: true })) });
const thirdSchema = manifestSchema
  .extend({ format: z.literal(3), databases: z.array(thirdDatabase) })
  .transform(fromThird);

/** The second version, which records neither owners nor rights. */
const secondDatabase = thirdDatabase
  .omit({ access: true })
  .extend({ tables: z.array(table.omit({ storedBy: true, filter: true })) });
const secondSchema = manifestSchema
  .extend({ format: z.literal(2), databases: z.array(secondDatabase) })
  .transform((manifest) => fromThird({ ...manifest, databases: manifest.databases.map(fromSecond) }));

/** The first version, which records neither services that failed nor findings about the data. */
const firstSchema = manifestSchema
  .omit({ missing: true, references: true })
  .extend({ format: z.literal(1), databases: z.array(secondDatabase.omit({ checks: true })) })
  .transform((manifest) => {
    const databases = manifest.databases.map((entry) => fromSecond({ ...entry, checks: null }));
    return fromThird({ ...manifest, missing: [], references: [], databases });
  });

const SCHEMAS = new Map<unknown, z.ZodType<Manifest>>([
  [1, firstSchema],
  [2, secondSchema],
  [3, thirdSchema],
  [4, manifestSchema],
]);

function fromSecond(entry: z.infer<typeof secondDatabase>): z.infer<typeof thirdDatabase> {
  return { ...entry, access: null, tables: entry.tables.map((it) => ({ ...it, filter: null })) };
}

function fromThird(
  manifest: Omit<z.infer<typeof manifestSchema>, 'format' | 'databases'> & {
    readonly databases: readonly z.infer<typeof thirdDatabase>[];
  },
): z.infer<typeof manifestSchema> {
  const databases = manifest.databases.map((entry) => {
    const tables = entry.tables.map((it) => ({ ...it, storedBy: manifest.id }));
    return { ...entry, tables, baseline: null };
  });
  return { ...manifest, format: 4, databases };
}

export type Manifest = z.infer<typeof manifestSchema>;
export type DatabaseEntry = z.infer<typeof database>;
export type TableEntry = z.infer<typeof table>;
export type FileEntry = z.infer<typeof file>;

/**
 * Parses a manifest of any version.
 * @throws {SuiteError} `BACKUP.BAD_MANIFEST`
 */
export function parseManifest(text: string, set: string): Manifest {
  const json = parseJson(text);
  const format = isRecord(json) ? json['format'] : undefined;
  const parsed = (SCHEMAS.get(format) ?? manifestSchema).safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new SuiteError('BACKUP.BAD_MANIFEST', `manifest.json of the backup set ${set} is not valid`, {
    kind: 'finding',
    why: `${issue?.path.join('.') || 'The document'}: ${issue?.message ?? 'not a manifest'}.`,
    next: 'Use another set or another copy of this set; if a newer version of the suite wrote it, use that version',
    meta: { set, file: 'manifest.json' },
  });
}

/** Every file that the manifest lists for these databases. */
export function filesOf(databases: readonly DatabaseEntry[]): readonly FileEntry[] {
  return databases.flatMap(({ schema, access, tables, archive, script }) =>
    [schema.preData, schema.postData, access, ...tables.map((it) => it.file), archive, script].filter(
      (it) => it !== null,
    ),
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
