import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { placeIn } from '../src/postgres/embedded/place';
import { archivedNames, archiveLayout, findRecord } from '../src/postgres/pitr/archive-layout';
import { waitForSegment } from '../src/postgres/pitr/archiver';
import { listBases, removeDraft } from '../src/postgres/pitr/base-backup';
import { keepPort } from '../src/postgres/pitr/recover';

describe('the archive of the embedded server', () => {
  let home = '';
  beforeEach(async () => {
    home = await mkdtemp(path.join(os.tmpdir(), 'azora-archive-'));
  });
  afterEach(async () => {
    await rm(home, { recursive: true, force: true });
  });

  /** A link to itself: there is something, and even the administrator cannot read it. */
  const makeUnreadable = async (file: string) => {
    await mkdir(path.dirname(file), { recursive: true });
    await symlink(path.basename(file), file);
  };

  it('is empty when its directories do not exist', async () => {
    const layout = archiveLayout(placeIn(home));

    expect(await findRecord(layout)).toBeUndefined();
    expect(await archivedNames(layout)).toEqual(new Set());
    expect(await listBases(layout)).toEqual([]);
  });

  it('lists base backups by their place in the log, although a clock went back', async () => {
    const layout = archiveLayout(placeIn(home));
    const given = [
      ['20260101T000000000Z', '000000020000000000000003'],
      ['20260102T000000000Z', '000000010000000000000009'],
      ['20250101T000000000Z', '000000020000000000000004'],
    ];
    for (const [id = '', startSegment] of given) {
      await mkdir(path.join(layout.base, id), { recursive: true });
      await writeFile(path.join(layout.base, id, 'base.json'), JSON.stringify({ id, startSegment }));
    }

    const order = ['20260102T000000000Z', '20260101T000000000Z', '20250101T000000000Z'];
    expect((await listBases(layout)).map(({ id }) => id)).toEqual(order);
  });

  it('is an error when its directories cannot be read', async () => {
    const place = placeIn(home);
    const layout = archiveLayout(place);
    for (const file of [layout.wal, layout.base, path.join(layout.directory, 'archive.json')])
      await makeUnreadable(file);

    await expect(findRecord(layout)).rejects.toMatchObject({ code: 'ELOOP' });
    await expect(archivedNames(layout)).rejects.toMatchObject({ code: 'ELOOP' });
    await expect(listBases(layout)).rejects.toMatchObject({ code: 'ELOOP' });
    await expect(waitForSegment(place, '000000010000000000000001')).rejects.toMatchObject({ code: 'ELOOP' });
  });

  it('keeps the port when there is one, and does not ignore a file that cannot be read', async () => {
    const [place, next] = [placeIn(home), { ...placeIn(home), data: path.join(home, 'next') }];
    await mkdir(next.data);
    await mkdir(place.data, { recursive: true });
    const file = path.join(place.data, 'postmaster.opts');

    await keepPort(place, next, undefined);
    await writeFile(file, '-p 5433');
    await keepPort(place, next, undefined);
    expect(await readFile(path.join(next.data, 'postmaster.opts'), 'utf8')).toBe('-p 5433');

    await rm(file);
    await makeUnreadable(file);
    await expect(keepPort(place, next, undefined)).rejects.toMatchObject({ code: 'ELOOP' });
  });

  it('reports a draft that cannot be removed without throwing', async () => {
    const lines: string[] = [];
    const onProgress = (line: string) => void lines.push(line);
    await mkdir(path.join(home, 'draft'));

    await removeDraft(path.join(home, 'draft'), { home, onProgress });
    await removeDraft(path.join(home, 'none'), { home, onProgress });
    expect(lines).toEqual([]);

    await removeDraft(path.join(home, 'NUL \0'), { home, onProgress });
    expect(lines).toEqual([expect.stringMatching(/^could not remove .*: /)]);
  });
});
