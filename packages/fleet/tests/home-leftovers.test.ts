/** @server none */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { findHomeLeftovers } from '../src/postgres/home-leftovers';
import { draftName, isAbandoned } from '../src/system/atomic-files';
import { treeUsage } from '../src/system/leftovers';
import { ownerMark, ownerState } from '../src/system/owners';

const DEAD = '99999999-gone';
const HEX = '0a1b2c3d';
let home = '';

beforeEach(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), 'azora-home-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

async function givenDirectory(name: string): Promise<void> {
  await mkdir(path.join(home, name), { recursive: true });
  await writeFile(path.join(home, name, 'file'), 'x'.repeat(10_000));
}

async function find() {
  const found = await findHomeLeftovers(home, home);
  return found.map((it) => ({ ...it, name: path.relative(home, it.name) }));
}

describe('the home directory', () => {
  it('shows the data that restores replaced, and removes it', async () => {
    const copies = [
      ['embedded/data.before-20260131T120000123Z', null],
      ['companion/rag/data__before_20260131T120000123Z-0a1b2c', 'rag'],
      ['companion/rag/data__before_20260131T120000123Z-0a1b2c_2', 'rag'],
    ] as const;
    for (const [name] of copies) await givenDirectory(name);
    // Everything else in these directories belongs to somebody.
    const others = [
      'embedded/data',
      'embedded/data.before-upgrade',
      'companion/rag/data',
      'companion/rag/data__before_me',
    ];
    for (const name of others) await givenDirectory(name);

    const found = await find();

    expect(found.map(({ name, service, kind, state }) => [name, service, kind, state])).toEqual(
      copies.map(([name, service]) => [name, service, 'copy', 'unused']),
    );
    expect(found[0]?.since).toEqual(new Date('2026-01-31T12:00:00.123Z'));
    expect(await found[0]?.bytes()).toBeGreaterThanOrEqual(10_000);
    for (const { remove } of found) await remove();
    expect(await readdir(path.join(home, 'embedded'))).toEqual(['data', 'data.before-upgrade']);
    expect(await readdir(path.join(home, 'companion', 'rag'))).toEqual(['data', 'data__before_me']);
  });

  it('shows the unfinished work of ended processes only as abandoned', async () => {
    const [living, other] = [await ownerMark(), `1-abcd1234-5678@00000000`];
    const drafts = [
      'embedded.new-OWNER-0a1b2c3d',
      'binaries-linux-x64-18.4.0.new-OWNER-0a1b2c3d',
      'embedded/data.new-OWNER-0a1b2c3d',
      'embedded/data.before-20260131T120000123Z.removed-OWNER',
      'pitr/base/20260131T120000123Z.part-OWNER-0a1b2c3d',
    ];
    for (const owner of [DEAD, living, other])
      for (const draft of drafts) await givenDirectory(draft.replace('OWNER', owner));

    const found = await find();

    const states = (owner: string) =>
      drafts.map((draft) => found.find(({ name }) => name === draft.replace('OWNER', owner))?.state);
    expect([DEAD, living, other].map(states)).toEqual(
      ['unused', 'in-use', 'unknown'].map((state) => drafts.map(() => state)),
    );
    expect(found).toHaveLength(3 * drafts.length);
  });

  it('hides the draft of a swap that the next start of the server completes', async () => {
    const next = `data.new-${DEAD}-${HEX}`;
    await givenDirectory(`embedded/${next}`);
    await writeFile(path.join(home, 'embedded', 'swap.json'), JSON.stringify({ next, kept: 'data.before-1' }));

    expect(await find()).toEqual([]);
  });
});

describe('the owner of a draft', () => {
  it('is this process, an ended one, or unknown on another machine', async () => {
    const own = await ownerMark();

    expect(await ownerState(own)).toBe('alive');
    expect(await ownerState(own.replace(/@.*/, ''))).toBe('alive');
    expect(await ownerState(own.replace(/^\d+/, '99999999'))).toBe('ended');
    expect(await ownerState(own.replace(/@.*/, '@00000000'))).toBe('unknown');
    expect(await ownerState('1-unknown')).toBe('unknown');
  });

  it('can be read in the name of a draft, also of an earlier version', async () => {
    const living = await draftName('data', 'new');
    await mkdir(path.join(home, living));

    expect(await isAbandoned(home, living)).toBe(false);
    expect(await isAbandoned(home, `data.new-${DEAD}-${HEX}`)).toBe(true);
    expect(await isAbandoned(home, 'data.before-20260131T120000123Z')).toBe(false);
  });
});

describe('the size of a directory', () => {
  it('counts its files, and does not follow links', async () => {
    const { symlink } = await import('node:fs/promises');
    await givenDirectory('one');
    const before = (await treeUsage(path.join(home, 'one')))?.bytes ?? 0;
    await givenDirectory('two');
    await symlink(path.join(home, 'two'), path.join(home, 'one', 'link'));

    expect((await treeUsage(path.join(home, 'one')))?.bytes).toBeLessThan(before + 10_000);
    expect(await treeUsage(path.join(home, 'none'))).toBeUndefined();
  });
});
