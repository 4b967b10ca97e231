/** @server none */
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';
import { findServices, type Service } from '../src/config/registry';
import { readSettings } from '../src/config/settings';
import { createService } from '../src/operations/new-service/create';
import { registerService } from '../src/operations/new-service/registration';

const root = repositoryRoot();
const NOW = new Date('2026-03-01T12:00:00Z');

describe('createService', () => {
  let services: readonly Service[] = [];
  beforeAll(async () => {
    services = await findServices(root);
  });

  const create = (name: string, options: { log?: (line: string) => void; signal?: AbortSignal } = {}) =>
    createService(readSettings(root, services, {}), services, name, { log: () => undefined, now: NOW, ...options });

  it.each([
    ['Billing', 'lowercase'],
    ['b', '2 to 30'],
    ['data-lake', 'lowercase letters and digits'],
    ['../billing', 'lowercase letters and digits'],
    ['b'.repeat(31), '2 to 30'],
    ['2fa', 'begins with a letter'],
    ['class', 'reserved'],
    ['prisma', 'reserved'],
    ['template', 'reserved'],
    ['con', 'reserved'],
    ['notifications', 'The database azora_notifications belongs to notification.'],
  ])('rejects the name %s', async (name, why) => {
    const code = 'USAGE.BAD_SERVICE_NAME';
    await expect(create(name)).rejects.toMatchObject({ code, why: expect.stringContaining(why) });
  });

  it('says that a service exists already', async () => {
    await expect(create('mint')).rejects.toMatchObject({
      code: 'SERVICE.EXISTS',
      why: 'It is a service of this checkout.',
      next: 'Run "npm test -- services/mint"',
    });
  });

  it('leaves nothing behind after an interrupt', async () => {
    const before = await entriesOf(root);
    const interrupt = new AbortController();
    const log = () => interrupt.abort();

    expect(await create('interrupted', { log, signal: interrupt.signal })).toBeUndefined();
    expect(await entriesOf(root)).toEqual(before);
  });
});

describe('registerService', () => {
  const manifest = { name: '@azora/kiosk', version: '0.1.0', private: true, dependencies: { pg: '^8.0.0' } };
  const kiosk = { name: 'kiosk', database: 'azora_kiosk', manifest };
  const finish = async () => undefined;
  let checkout = '';
  beforeEach(async () => {
    checkout = await mkdtemp(path.join(os.tmpdir(), 'azora-register-'));
    await mkdir(path.join(checkout, 'node_modules'));
    for (const file of ['tsconfig.json', '.env.example', 'README.md', 'package-lock.json']) {
      await writeFile(path.join(checkout, file), await readFile(path.join(root, file)));
    }
  });
  afterEach(() => rm(checkout, { recursive: true, force: true }));

  const textOf = (file: string) => readFile(path.join(checkout, file), 'utf8');
  const addedTo = async (file: string) => {
    const before = (await readFile(path.join(root, file), 'utf8')).split('\n');
    const after = (await textOf(file)).split('\n');
    return { added: after.filter((line) => !before.includes(line)), lines: after.length - before.length };
  };

  it('adds lines in the order of names and changes no other line', async () => {
    await registerService(checkout, kiosk, finish);

    const row = '| kiosk | azora_kiosk | items of users |';
    expect(await addedTo('tsconfig.json')).toEqual({ added: ['    { "path": "services/kiosk" },'], lines: 1 });
    expect(await addedTo('README.md')).toEqual({ added: [row], lines: 1 });
    expect(await addedTo('.env.example')).toEqual({
      added: [
        '# The URL of the kiosk database only; takes precedence over DATABASE_URL.',
        '#KIOSK_DATABASE_URL=postgresql://postgres:choose-a-password@127.0.0.1:5432/azora_kiosk',
      ],
      lines: 3,
    });
    const names = [...(await textOf('tsconfig.json')).matchAll(/services\/(\w+)/g)].map(([, name]) => name);
    expect(names).toEqual([...names].sort());
    expect(await readlink(path.join(checkout, 'node_modules/@azora/kiosk'))).toBe('../../services/kiosk');
  });

  it('keeps tsconfig.json valid for a name after all others', async () => {
    await registerService(checkout, { ...kiosk, name: 'zoo' }, finish);

    const { references } = JSON.parse(await textOf('tsconfig.json'));
    expect(references.at(-1)).toEqual({ path: 'services/zoo' });
  });

  it('adds the packages to package-lock.json as npm does', async () => {
    await registerService(checkout, kiosk, finish);

    const { packages } = JSON.parse(await textOf('package-lock.json'));
    const folders = Object.keys(packages);
    expect(packages['node_modules/@azora/kiosk']).toEqual({ resolved: 'services/kiosk', link: true });
    expect(packages['services/kiosk']).toEqual({
      name: '@azora/kiosk',
      version: '0.1.0',
      dependencies: { pg: '^8.0.0' },
    });
    expect(folders).toEqual([...folders].sort((left, right) => left.localeCompare(right, 'en')));
    expect((await addedTo('package-lock.json')).lines).toBe(11);
  });

  it('changes nothing in a second run', async () => {
    await registerService(checkout, kiosk, finish);
    const files = ['tsconfig.json', '.env.example', 'README.md', 'package-lock.json'];
    const once = await Promise.all(files.map(textOf));

    await registerService(checkout, kiosk, finish);
    expect(await Promise.all(files.map(textOf))).toEqual(once);
  });

  it('gives every file its old text back when the end fails', async () => {
    const before = await entriesOf(checkout);
    const fail = () => Promise.reject(new Error('no space left on the disk'));

    await expect(registerService(checkout, kiosk, fail)).rejects.toThrow('no space left on the disk');
    expect(await entriesOf(checkout)).toEqual(before);
    for (const file of ['tsconfig.json', '.env.example', 'README.md', 'package-lock.json']) {
      expect(await addedTo(file)).toEqual({ added: [], lines: 0 });
    }
  });
});

/** The entries of the folders that a new service appears in. */
async function entriesOf(folder: string): Promise<Readonly<Record<string, readonly string[]>>> {
  const folders = ['.', 'services', 'node_modules/@azora', '.azora'];
  const lists = folders.map(async (name): Promise<[string, readonly string[]]> => {
    const entries = await readdir(path.join(folder, name)).catch(() => []);
    // Other tests use folders of their own there at the same time.
    return [name, entries.filter((entry) => name !== '.azora' || entry.startsWith('service.new-')).sort()];
  });
  return Object.fromEntries(await Promise.all(lists));
}
