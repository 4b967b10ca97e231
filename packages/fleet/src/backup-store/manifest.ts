import { SuiteError } from '@azora/db-core';
import { z } from 'zod';
import { SET_ID } from './set-id';

/** Files of a set are named by us: no name of a database or table decides where a file is read or written. */
const fileName = z.string().regex(/^[a-z0-9-]+\/[a-z0-9._-]+$/);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.int().nonnegative();

const file = z.strictObject({ path: fileName, bytes: count, sha256 });

const table = z.strictObject({
  schema: z.string(),
  name: z.string(),
  columns: z.array(z.string()),
  rows: count,
  /** Of the rows as COPY's text, before compression. */
  bytes: count,
  /** Of the same text: what a restored table is compared with. */
  contentSha256: sha256,
  /** Null where the rows are in the archive. */
  file: file.nullable(),
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
  /** Of the database on its server: about what a restored one needs. */
  sizeBytes: count,
  extensions: z.array(z.strictObject({ name: z.string(), version: z.string() })),
  migrations: z.array(z.strictObject({ name: z.string(), checksum: z.string() })),
  /** Whether the catalog was other than what its migrations made. */
  drifted: z.boolean(),
  snapshot: z.strictObject({ takenAt: z.iso.datetime(), lsn: z.string() }),
  /** Who could read or write what, beside the administrator. */
  roles: z.array(z.strictObject({ name: z.string(), attributes: z.string(), grants: z.array(z.string()).readonly() })),
  schema: z.strictObject({ preData: file, postData: file }),
  tables: z.array(table),
  sequences: z.array(sequence),
  /** The whole database as pg_dump writes it, in its custom format; null where each table has a file of its own. */
  archive: file.nullable(),
  /** For plain psql, which reads neither encrypted files nor archives. */
  script: file.nullable(),
});

const manifest = z.strictObject({
  format: z.literal(1),
  id: z.string().regex(SET_ID),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  suiteVersion: z.string(),
  masked: z.boolean(),
  encryption: z.enum(['age']).nullable(),
  /** The longest time between two databases' snapshots. */
  skewMs: z.number().nonnegative(),
  /** For how long all writers were stopped; null when none were. */
  fence: z.strictObject({ heldMs: z.number().nonnegative() }).nullable(),
  databases: z.array(database),
});

export type Manifest = z.infer<typeof manifest>;
export type DatabaseEntry = z.infer<typeof database>;
export type TableEntry = z.infer<typeof table>;
export type FileEntry = z.infer<typeof file>;

/**
 * Reads a manifest.
 * @throws {SuiteError} `BACKUP.BAD_MANIFEST`
 */
export function parseManifest(text: string, set: string): Manifest {
  const parsed = manifest.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new SuiteError('BACKUP.BAD_MANIFEST', `manifest.json of the set ${set} cannot be used`, {
    kind: 'finding',
    why: `${issue?.path.join('.') || 'The document'}: ${issue?.message ?? 'not a manifest'}.`,
    next: 'Use another set, or another copy of this one; a newer suite may have written it',
    meta: { set, file: 'manifest.json' },
  });
}

/** Every file of the set that the manifest vouches for, or of some services. */
export function filesOf(databases: readonly DatabaseEntry[]): readonly FileEntry[] {
  return databases.flatMap(({ schema, tables, archive, script }) =>
    [schema.preData, schema.postData, ...tables.map((it) => it.file), archive, script].filter((it) => it !== null),
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
