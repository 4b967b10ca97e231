/** @server none */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { findServices } from '../src/config/registry';

describe('findServices', () => {
  let root = '';

  beforeEach(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), 'azora-registry-'));
    await mkdir(path.join(root, 'services', 'auth'), { recursive: true });
    await writeFile(path.join(root, 'services', 'auth', 'package.json'), '{"azora":{"database":"azora_auth"}}');
  });
  afterEach(() => rm(root, { recursive: true }));

  const names = async () => (await findServices(root)).map(({ name }) => name);

  it('ignores folders without a manifest, and files', async () => {
    await mkdir(path.join(root, 'services', 'notes'));
    await writeFile(path.join(root, 'services', 'README.md'), '');

    expect(await names()).toEqual(['auth']);
  });

  it('rejects a service whose manifest cannot be read, instead of leaving it out', async () => {
    await mkdir(path.join(root, 'services', 'mint', 'package.json'), { recursive: true });

    await expect(names()).rejects.toMatchObject({
      code: 'REGISTRY.BAD_MANIFEST',
      why: expect.stringContaining('EISDIR'),
    });
  });

  it('finds no services in a directory without any', async () => {
    await rm(path.join(root, 'services'), { recursive: true });

    await expect(names()).rejects.toMatchObject({ code: 'REGISTRY.NO_SERVICES' });
  });
});
