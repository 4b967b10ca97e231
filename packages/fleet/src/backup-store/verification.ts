import { isRecord } from '@azora/db-core';
import { z } from 'zod';
import { encryptText, type Secret, signVerification } from './encryption';
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
  /** The owner's signature of the other fields; null for a set that is not encrypted with an identity. */
  signature: z.string().nullable(),
});

/** The result of verifying a set by restoring it. */
export type Verification = z.infer<typeof verificationSchema>;

/** Stores the result with the set. */
export async function writeVerification(
  { storage, manifest, manifestSha256, key, secret }: OpenedSet,
  result: Omit<Verification, 'at' | 'manifestSha256' | 'details' | 'signature'>,
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
  const unsigned = { at: new Date().toISOString(), manifestSha256, ...result, ...shown };
  const signature = key === undefined || secret === undefined ? null : (signatureOf(unsigned, secret) ?? null);
  const stored: Verification = { ...unsigned, signature };
  await storage.writeText(manifest.id, FILE, `${JSON.stringify(stored, null, 2)}\n`);
}

/** The fields have a fixed order, whatever the order in the file is. */
function signatureOf(result: Omit<Verification, 'signature'>, secret: Secret): string | undefined {
  const { at, manifestSha256, ok, restoreSeconds, problems, warnings, details } = result;
  return signVerification(
    secret,
    JSON.stringify([at, manifestSha256, ok, restoreSeconds, problems, warnings, details]),
  );
}

/**
 * The result of the last verification of the set with this manifest; undefined when it was never verified, or when the result is
 * good and the owner of the identity did not sign it.
 * @param secret checks the signature of the result of an encrypted set; undefined to read it without
 * @throws {SuiteError} `BACKUP.STORAGE_FAILED`, `BACKUP.DAMAGED` when there is a result that cannot be read
 */
export async function readVerification(
  storage: Storage,
  { manifest: { id, encryption }, manifestSha256 }: ReadSet,
  secret: Secret | undefined,
): Promise<Verification | undefined> {
  const text = await storage.readText(id, FILE);
  if (text === undefined) return undefined;
  const json = parseJson(text);
  // Earlier versions have no warnings, no details, or no signature.
  const earlier = { warnings: [], details: null, signature: null };
  const parsed = verificationSchema.safeParse(isRecord(json) ? { ...earlier, ...json } : json);
  if (!parsed.success) throw fileDamaged(id, FILE, 'It is not the result of a verification.');
  const found = parsed.data;
  if (found.manifestSha256 !== manifestSha256) return undefined;
  const expected = encryption === null || secret === undefined ? undefined : signatureOf(found, secret);
  return found.ok && expected !== undefined && expected !== found.signature ? undefined : found;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
