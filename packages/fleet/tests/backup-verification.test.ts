/** @server none */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { generateX25519Identity } from 'age-encryption';
import type { Secret } from '../src/backup-store/encryption';
import { KEY_FILE, makeSetKey } from '../src/backup-store/encryption';
import { chunksOf } from '../src/backup-store/file';
import type { Manifest } from '../src/backup-store/manifest';
import { openSet, writeManifest } from '../src/backup-store/set';
import { writeVerification } from '../src/backup-store/verification';
import { describeSet } from '../src/operations/backup/sets';
import { givenPlace, removePlaces } from './backup-fixture';

const SET = '20260101T000000000Z-000001';

afterAll(removePlaces);

async function givenVerifiedSet(secret: Secret | undefined, ok = true) {
  const { storage, directory } = await givenPlace();
  const made = secret === undefined ? undefined : await makeSetKey(secret);
  const at = new Date('2026-01-01T00:00:00Z').toISOString();
  const manifest: Manifest = {
    ...{ format: 4, id: SET, startedAt: at, finishedAt: at, suiteVersion: '0', masked: false, skewMs: 0, fence: null },
    ...{ encryption: made === undefined ? null : 'age', databases: [], missing: [], references: [] },
  };
  const writer = await storage.begin(SET);
  if (made !== undefined) await writer.write(KEY_FILE, chunksOf(made.wrapped));
  await writeManifest(writer, manifest, { key: made?.key, secret });
  await writer.finish();
  await writeVerification(await openSet(storage, SET, secret), { ok, restoreSeconds: 1, problems: [], warnings: [] });
  const verified = async (reader: Secret | undefined) => (await describeSet(storage, SET, reader)).verified?.ok ?? null;
  const edit = async (change: (result: object) => object) => {
    const text = await readFile(path.join(directory, SET, 'verified.json'), 'utf8');
    await storage.writeText(SET, 'verified.json', JSON.stringify(change(JSON.parse(text))));
  };
  return { verified, edit };
}

describe('the result of a verification', () => {
  it('is signed by the owner of an identity', async () => {
    const owner = { identity: await generateX25519Identity() };
    const { verified } = await givenVerifiedSet(owner);

    expect(await verified(owner)).toBe(true);
    expect(await verified(undefined)).toBe(true);
    expect(await verified({ identity: await generateX25519Identity() })).toBeNull();
  });

  it.each([
    ['turned a failure into it', false, (result: object) => ({ ...result, ok: true })],
    ['made it newer', true, (result: object) => ({ ...result, at: '2026-02-01T00:00:00.000Z' })],
    ['left the signature out', true, (result: object) => ({ ...result, signature: null })],
  ])('does not count as a success after somebody %s', async (_, ok, change) => {
    const owner = { identity: await generateX25519Identity() };
    const { verified, edit } = await givenVerifiedSet(owner, ok);
    expect(await verified(owner)).toBe(ok);

    await edit(change);

    expect(await verified(owner)).toBeNull();
  });

  it('is a failure without a signature, as earlier versions wrote it', async () => {
    const owner = { identity: await generateX25519Identity() };
    const { verified, edit } = await givenVerifiedSet(owner, false);

    await edit(({ signature: _, ...result }: { signature?: unknown }) => result);

    expect(await verified(owner)).toBe(false);
  });

  it('has no signature in a set in plain text', async () => {
    const { verified } = await givenVerifiedSet(undefined);

    expect(await verified({ identity: await generateX25519Identity() })).toBe(true);
  });
});
