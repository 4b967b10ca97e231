import { isRecord } from '@azora/db-core';
import { z } from 'zod';
import { encryptText } from './encryption';
import type { OpenedSet, ReadSet } from './set';
import { fileDamaged, type Storage } from './storage';

const FILE = 'verified.json';
/** Stands for each problem and warning of an encrypted set: they may repeat what its files say. */
const HIDDEN = 'in the encrypted details';

/** The schema of `verified.json`; docs/FORMATS.md describes each field. */
export const verificationSchema = z.object({
  at: z.iso.datetime(),
  /** The SHA-256 of the manifest that was verified. The result says nothing about another manifest. */
  manifestSha256: z.string(),
  ok: z.boolean(),
  /** The duration of restoring all databases, without the comparisons. */
  restoreSeconds: z.number(),
  /** The problems of the copy. */
  problems: z.array(z.string()),
  /** Problems in the data that the set was made from, such as ids of other services that did not exist. */
  warnings: z.array(z.string()),
  /** The problems and warnings of an encrypted set as JSON, encrypted with its key, in Base64; null for a set in plain text. */
  details: z.string().nullable(),
});

/** The result of verifying a set by restoring it. */
export type Verification = z.infer<typeof verificationSchema>;

/** Stores the result with the set. */
export async function writeVerification(
  { storage, manifest, manifestSha256, key }: OpenedSet,
  result: Omit<Verification, 'at' | 'manifestSha256' | 'details'>,
): Promise<void> {
  const { problems, warnings } = result;
  const hidden = ({ length }: readonly string[]) => Array<string>(length).fill(HIDDEN);
  const shown =
    key === undefined
      ? { details: null }
      : {
          ...{ problems: hidden(problems), warnings: hidden(warnings) },
          details: await encryptText(key, JSON.stringify({ problems, warnings })),
        };
  const stored: Verification = { at: new Date().toISOString(), manifestSha256, ...result, ...shown };
  await storage.writeText(manifest.id, FILE, `${JSON.stringify(stored, null, 2)}\n`);
}

/**
 * The result of the last verification of the set with this manifest; undefined when it was never verified.
 * @throws {SuiteError} `BACKUP.STORAGE_FAILED`, `BACKUP.DAMAGED` when there is a result that cannot be read
 */
export async function readVerification(
  storage: Storage,
  { manifest: { id }, manifestSha256 }: ReadSet,
): Promise<Verification | undefined> {
  const text = await storage.readText(id, FILE);
  if (text === undefined) return undefined;
  const json = parseJson(text);
  // Earlier versions have no warnings, or no details.
  const parsed = verificationSchema.safeParse(isRecord(json) ? { warnings: [], details: null, ...json } : json);
  if (!parsed.success) throw fileDamaged(id, FILE, 'It is not the result of a verification.');
  return parsed.data.manifestSha256 === manifestSha256 ? parsed.data : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
