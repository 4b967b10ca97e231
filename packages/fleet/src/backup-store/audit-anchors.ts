import { createHmac } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { SuiteError } from '@azora/db-core';
import { z } from 'zod';
import { makeDirectory, replaceFile, syncDirectory } from '../system/atomic-files';
import type { Environment } from '../system/child-environment';
import { codeOf, isFileError, reasonOf } from '../system/system-errors';
import { parseS3Location } from './location';

/** The copy, outside of a database, of what its audit log was anchored to. docs/FORMATS.md describes each field. */
export const auditAnchorSchema = z.strictObject({
  format: z.literal(1),
  service: z.string(),
  /** Of the anchors in the table `audit_anchors`. */
  generation: z.int().min(1),
  /** The number of anchors. */
  chains: z.int().min(0),
  /** Of the anchors: `audit_anchor_digest(generation)`. */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  /** By the database's clock. */
  at: z.iso.datetime({ offset: true }),
  /** HMAC-SHA-256 of the other fields; null without a key. */
  signature: z.string().nullable(),
});

export type AuditAnchor = z.infer<typeof auditAnchorSchema>;

/** A place outside of the databases that keeps anchors: a directory or a bucket. */
export interface AnchorStore {
  /** For messages. */
  readonly location: string;
  /**
   * The newest anchor of a service; undefined when there is none.
   * @throws {SuiteError} `AUDIT.BAD_ANCHOR`, `AUDIT.ANCHORS_FAILED`
   */
  newest(service: string): Promise<AuditAnchor | undefined>;
  /** @throws {SuiteError} `AUDIT.ANCHORS_FAILED` */
  write(anchor: Omit<AuditAnchor, 'format' | 'signature'>): Promise<void>;
}

/** The files of a place, by names without folders. */
interface Files {
  list(): Promise<readonly string[]>;
  read(name: string): Promise<string>;
  write(name: string, content: string): Promise<void>;
}

/**
 * Opens the place that keeps the anchors of audit logs.
 * @param key signs the anchors and checks them; undefined for anchors without a signature
 * @throws {SuiteError} `USAGE.BAD_LOCATION`
 */
export async function openAnchorStore(
  location: string,
  key: string | undefined,
  environment: Environment,
): Promise<AnchorStore> {
  const files = location.startsWith('s3://') ? await bucketFiles(location, environment) : directoryFiles(location);
  return {
    location,
    newest: async (service) => {
      const names = (await files.list()).filter((name) => isOf(name, service));
      const name = names.toSorted().at(-1);
      return name === undefined ? undefined : parseAnchor(await files.read(name), service, key, `${location}/${name}`);
    },
    write: async (anchor) => {
      const unsigned = { format: 1 as const, ...anchor };
      const signed: AuditAnchor = { ...unsigned, signature: key === undefined ? null : signatureOf(unsigned, key) };
      await files.write(nameOf(anchor.service, anchor.generation), `${JSON.stringify(signed, null, 2)}\n`);
    },
  };
}

function nameOf(service: string, generation: number): string {
  return `${service}-${String(generation).padStart(10, '0')}.json`;
}

function isOf(name: string, service: string): boolean {
  return name.startsWith(`${service}-`) && /^\d{10}\.json$/.test(name.slice(service.length + 1));
}

/** The fields have a fixed order, whatever the order in the file is. */
function signatureOf({ service, generation, chains, digest, at }: Omit<AuditAnchor, 'signature'>, key: string): string {
  const derived = createHmac('sha256', key).update('azora audit anchor').digest();
  return createHmac('sha256', derived)
    .update(JSON.stringify([service, generation, chains, digest, at]))
    .digest('hex');
}

function parseAnchor(content: string, service: string, key: string | undefined, file: string): AuditAnchor {
  const parsed = auditAnchorSchema.safeParse(parseJson(content));
  if (!parsed.success || parsed.data.service !== service) throw badAnchor(file, 'It is not an anchor of this service.');
  if (key !== undefined && parsed.data.signature !== signatureOf(parsed.data, key)) {
    throw badAnchor(file, 'Its signature does not match the key.');
  }
  return parsed.data;
}

function parseJson(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    return undefined;
  }
}

function badAnchor(file: string, why: string): SuiteError {
  return new SuiteError('AUDIT.BAD_ANCHOR', `The audit anchor ${file} cannot be trusted`, {
    kind: 'finding',
    why,
    next: 'Find out who changed it, or set the key that signed it (AZORA_AUDIT_KEY); move it away only if you know the reason',
    meta: { file },
  });
}

function directoryFiles(directory: string): Files {
  const guarded = <Result>(work: () => Promise<Result>) => orStorageFailed(directory, work);
  return {
    list: () =>
      guarded(() =>
        readdir(directory).catch((error: unknown) => {
          if (codeOf(error) === 'ENOENT') return [];
          throw error;
        }),
      ),
    read: (name) => guarded(() => readFile(path.join(directory, name), 'utf8')),
    write: (name, content) =>
      guarded(async () => {
        await makeDirectory(directory, 0o700);
        await replaceFile(path.join(directory, name), content);
        await syncDirectory(directory);
      }),
  };
}

async function bucketFiles(location: string, environment: Environment): Promise<Files> {
  const { openBucket } = await import('./s3-bucket.js');
  const bucket = openBucket(parseS3Location(location), environment);
  return {
    list: async () => {
      const names: string[] = [];
      for await (const page of bucket.pages('')) names.push(...page.map(({ name }) => name));
      return names;
    },
    read: async (name) => {
      const stream = await bucket.get(name);
      return stream === undefined ? '' : text(stream);
    },
    write: (name, content) => bucket.put(name, content),
  };
}

async function orStorageFailed<Result>(location: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!isFileError(error)) throw error;
    throw new SuiteError('AUDIT.ANCHORS_FAILED', `The audit anchors in ${location} cannot be read or written`, {
      why: `${reasonOf(error)}.`,
      next: 'Correct the cause, or set AZORA_AUDIT_ANCHORS to a directory or s3://bucket/prefix that can be written',
      meta: { location },
      cause: error,
    });
  }
}
