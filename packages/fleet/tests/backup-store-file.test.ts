/** @server none */
import { randomBytes } from 'node:crypto';
import fs, { mkdir, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import zlib from 'node:zlib';
import { SuiteError } from '@azora/db-core';
import { generateX25519Identity } from 'age-encryption';
import { requireZstd } from '../src/backup-store/compression';
import { directoryStorage } from '../src/backup-store/directory';
import type { SetKey } from '../src/backup-store/encryption';
import { adoptSetFile, checkSetFile, chunksOf, readSetFile, writeSetFile } from '../src/backup-store/file';
import type { Chunks, Storage } from '../src/backup-store/storage';
import { givenPlace, removePlaces } from './backup-fixture';
import { failureOf } from './migrations-fixture';

const SET = '20260101T000000000Z-000001';
/** More than the streams buffer, and no smaller after compression. */
const BYTES = 8 * 1024 * 1024;

afterAll(removePlaces);

const givenFile = async (key?: SetKey, contents = randomBytes(BYTES)) => {
  const { storage, directory } = await givenPlace();
  const writer = await storage.begin(SET);
  async function* chunks(): Chunks {
    yield contents;
  }
  const entry = await writeSetFile(writer, 'notes/notes.copy.gz', key, chunks());
  await writer.finish();
  return { contents, entry, storage, directory };
};

const drain = async (rows: Chunks): Promise<Buffer> => {
  const found: Uint8Array[] = [];
  for await (const chunk of rows) found.push(chunk);
  return Buffer.concat(found);
};

describe('files compressed with zstd', () => {
  const hasZstd = 'createZstdCompress' in zlib;

  it(`are ${hasZstd ? 'read back' : 'refused by name'}`, async () => {
    const { storage } = await givenPlace();
    const writer = await storage.begin(SET);
    const written = writeSetFile(writer, 'notes/notes.copy.zst', undefined, chunksOf('a\tb\n'));
    if (!hasZstd) {
      expect(await failureOf(written)).toMatchObject({ code: 'BACKUP.NO_ZSTD', kind: 'configuration' });
      await writer.abandon();
      return;
    }
    const entry = await written;
    await writer.finish();
    expect((await readSetFile(storage, SET, entry, undefined, drain)).toString()).toBe('a\tb\n');
  });

  it('need a version of Node.js that has it', () => {
    expect(() => requireZstd({})).toThrow(expect.objectContaining({ code: 'BACKUP.NO_ZSTD' }));
  });
});

describe('adoptSetFile', () => {
  const OTHER = '20260102T000000000Z-000001';

  it.each([
    ['shares the file', undefined, true],
    ['copies it where the file system has no links', 'EXDEV', false],
  ])('%s', async (_, code, isShared) => {
    const { contents, entry, storage, directory } = await givenFile();
    const linking = jest.spyOn(fs, 'link');
    if (code !== undefined) linking.mockRejectedValueOnce(Object.assign(new Error('no link'), { code }));
    const writer = await storage.begin(OTHER);

    const adopted = await adoptSetFile(storage, writer, { set: SET, file: entry, stem: 'notes/other.copy' });
    linking.mockRestore();
    await writer.finish();

    expect(adopted).toEqual({ ...entry, path: 'notes/other.copy.gz' });
    const inodeOf = async (set: string, file: string) => (await fs.stat(path.join(directory, set, file))).ino;
    const isSame = (await inodeOf(SET, 'notes/notes.copy.gz')) === (await inodeOf(OTHER, 'notes/other.copy.gz'));
    expect(isSame).toBe(isShared);
    await storage.remove(SET);
    if (adopted === undefined) throw new Error('the file was not adopted');
    expect((await readSetFile(storage, OTHER, adopted, undefined, drain)).equals(contents)).toBe(true);
  });

  it('takes no damaged file over', async () => {
    const { entry, storage, directory } = await givenFile();
    await fs.truncate(path.join(directory, SET, 'notes', 'notes.copy.gz'), 10);
    const writer = await storage.begin(OTHER);

    expect(await adoptSetFile(storage, writer, { set: SET, file: entry, stem: 'notes/other.copy' })).toBeUndefined();
    await writer.abandon();
  });
});

describe('readSetFile', () => {
  it('returns the content that was written', async () => {
    const { contents, entry, storage } = await givenFile();

    expect((await readSetFile(storage, SET, entry, undefined, drain)).equals(contents)).toBe(true);
  });

  it.each([
    ['before it reads', async () => Promise.reject(new Error('the reader failed'))],
    [
      'while it reads',
      async (rows: Chunks) => {
        for await (const _ of rows) throw new Error('the reader failed');
      },
    ],
  ])('throws the error of a reader that fails %s', async (_, take) => {
    const { entry, storage } = await givenFile();

    await expect(readSetFile(storage, SET, entry, undefined, take)).rejects.toThrow('the reader failed');
  });

  it('returns when the reader stops early', async () => {
    const { entry, storage } = await givenFile();

    expect(await readSetFile(storage, SET, entry, undefined, async () => 'enough')).toBe('enough');
  });

  it.each(['encrypted', 'not encrypted'])('does not call a file damaged when the storage fails (%s)', async (kind) => {
    const key = kind === 'encrypted' ? { identity: await generateX25519Identity() } : undefined;
    const { entry, storage } = await givenFile(key);
    const outage = new SuiteError('BACKUP.STORAGE_FAILED', 'the bucket does not answer');
    const failing: Storage = {
      ...storage,
      read: async (set, file) => {
        const whole = await storage.read(set, file);
        async function* cut(): Chunks {
          for await (const chunk of whole) {
            yield chunk;
            throw outage;
          }
        }
        return Readable.from(cut());
      },
    };

    expect(await failureOf(readSetFile(failing, SET, entry, key, drain))).toBe(outage);
  });
});

describe('a directory of sets', () => {
  /** A link to itself: there is something, and even the administrator cannot read it. */
  const makeUnreadable = async (file: string) => {
    await rm(file, { force: true });
    await symlink(path.basename(file), file);
  };

  it('distinguishes a file that cannot be read from one that does not exist', async () => {
    const { entry, storage, directory } = await givenFile(undefined, Buffer.from('rows'));
    const file = path.join(directory, SET, 'notes', 'notes.copy.gz');
    await makeUnreadable(file);

    expect(await failureOf(checkSetFile(storage, SET, entry))).toMatchObject({
      code: 'BACKUP.STORAGE_FAILED',
      why: expect.stringContaining('ELOOP'),
    });
    expect(await failureOf(storage.readText(SET, 'notes/notes.copy.gz'))).toMatchObject({
      code: 'BACKUP.STORAGE_FAILED',
    });
    await rm(file);
    expect(await failureOf(checkSetFile(storage, SET, entry))).toMatchObject({ code: 'BACKUP.NO_FILE' });
    expect(await storage.readText(SET, 'notes/notes.copy.gz')).toBeUndefined();
  });

  it('reports a failure in the middle of a file as a failure of the storage', async () => {
    const { entry, storage, directory } = await givenFile(undefined, Buffer.from('rows'));
    const file = path.join(directory, SET, 'notes', 'notes.copy.gz');
    await rm(file);
    await mkdir(file);

    expect(await failureOf(checkSetFile(storage, SET, entry))).toMatchObject({
      code: 'BACKUP.STORAGE_FAILED',
      why: expect.stringContaining('EISDIR'),
    });
  });

  it('reports the first error when a file cannot be replaced, and leaves no draft', async () => {
    const { directory } = await givenPlace();
    const storage = directoryStorage(directory);
    const writer = await storage.begin(SET);
    await writer.write('manifest.json', chunksOf('{}'));
    await writer.finish();
    await mkdir(path.join(directory, SET, 'verified.json', 'folder'), { recursive: true });

    expect(await failureOf(storage.writeText(SET, 'verified.json', '{}'))).toMatchObject({
      code: 'BACKUP.STORAGE_FAILED',
      why: expect.stringMatching(/EISDIR|ENOTEMPTY|EEXIST/),
    });
  });
});
