import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { OpenedSet } from './set';
import type { Storage } from './storage';

const FILE = 'verified.json';

const verification = z.object({
  at: z.iso.datetime(),
  /** Of the manifest that was verified: the result says nothing of another one. */
  manifestSha256: z.string(),
  ok: z.boolean(),
  /** What a restore of all databases took, without the comparisons. */
  restoreSeconds: z.number(),
  problems: z.array(z.string()),
});

/** How a restore drill came out. */
export type Verification = z.infer<typeof verification>;

/** Keeps the result with the set. */
export async function writeVerification(
  { storage, manifest }: OpenedSet,
  result: Omit<Verification, 'at' | 'manifestSha256'>,
): Promise<void> {
  const manifestSha256 = await hashManifest(storage, manifest.id);
  const kept = { at: new Date().toISOString(), manifestSha256, ...result };
  await storage.writeText(manifest.id, FILE, `${JSON.stringify(kept, null, 2)}\n`);
}

/** The result of the last drill of the set as it is; undefined when there was none. */
export async function readVerification(storage: Storage, set: string): Promise<Verification | undefined> {
  const text = await storage.readText(set, FILE);
  if (text === undefined) return undefined;
  try {
    const result = verification.parse(JSON.parse(text));
    return result.manifestSha256 === (await hashManifest(storage, set)) ? result : undefined;
  } catch {
    // Not a result: as if there was none.
    return undefined;
  }
}

async function hashManifest(storage: Storage, set: string): Promise<string> {
  const text = (await storage.readText(set, 'manifest.json')) ?? '';
  return createHash('sha256').update(text).digest('hex');
}
