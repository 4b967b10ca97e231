import { randomBytes } from 'node:crypto';
import { directoryStorage } from '../src/backup-store/directory';
import { readSetFile, writeSetFile } from '../src/backup-store/file';
import type { Chunks } from '../src/backup-store/storage';
import { givenPlace, removePlaces } from './backup-fixture';

const SET = '20260101T000000000Z-000001';
/** More than the streams on the way hold, and no smaller when it is compressed. */
const BYTES = 8 * 1024 * 1024;

describe('a compressed file of a set', () => {
  afterAll(removePlaces);

  const given = async () => {
    const storage = directoryStorage((await givenPlace()).directory);
    const writer = await storage.begin(SET);
    const contents = randomBytes(BYTES);
    async function* chunks(): Chunks {
      yield contents;
    }
    const entry = await writeSetFile(writer, 'notes/notes.copy.gz', undefined, chunks());
    await writer.finish();
    return {
      contents,
      read: <Result>(take: (rows: Chunks) => Promise<Result>) => readSetFile(storage, SET, entry, undefined, take),
    };
  };

  it('comes back as it was', async () => {
    const { contents, read } = await given();

    const parts = await read(async (rows) => {
      const found: Uint8Array[] = [];
      for await (const chunk of rows) found.push(chunk);
      return found;
    });

    expect(Buffer.concat(parts).equals(contents)).toBe(true);
  });

  it.each([
    ['before it reads', async () => Promise.reject(new Error('the reader failed'))],
    [
      'while it reads',
      async (rows: Chunks) => {
        for await (const _ of rows) throw new Error('the reader failed');
      },
    ],
  ])('tells how its reader failed %s, and waits for nothing', async (_, take) => {
    const { read } = await given();

    await expect(read(take)).rejects.toThrow('the reader failed');
  });

  it('is left by a reader that needs no more of it', async () => {
    const { read } = await given();

    expect(await read(async () => 'nothing of it')).toBe('nothing of it');
  });
});
