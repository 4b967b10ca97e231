import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';
import { findServices } from '../src/config/registry';
import { readSettings } from '../src/config/settings';
import { writeDocuments } from '../src/operations/documents';
import { renderEvents } from '../src/operations/documents/events';
import { readSchemaModel } from '../src/schema/schema-model';

describe('the catalog of events', () => {
  let root = '';
  beforeEach(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), 'azora-events-'));
    await put('lerna.json', '{}');
    await mkdir(path.join(root, 'prisma/dist'), { recursive: true });
    await cp(path.join(repositoryRoot(), 'prisma/dist/events.js'), path.join(root, 'prisma/dist/events.js'));
    await givenService('shop', SHOP_EVENTS);
    await givenService('quiet', 'exports.openQuiet = () => undefined;\n');
  });
  afterEach(() => rm(root, { recursive: true }));

  it('shows each event with its key and its data, and has the JSON Schemas', async () => {
    expect(await docs()).toEqual(['docs/EVENTS.md', 'docs/events/shop.json']);

    const page = await read('docs/EVENTS.md');
    expect(page).toContain('## shop\n\nSchemas: [shop.json](events/shop.json).\n');
    expect(page).toContain('| `shop.item-sold.v1` | An item was sold. | `itemId` | `itemId`, `note?` |\n');
    expect(page).not.toContain('quiet');
    expect(JSON.parse(await read('docs/events/shop.json'))).toEqual({
      service: 'shop',
      events: [
        {
          type: 'shop.item-sold.v1',
          about: 'An item was sold.',
          key: ['itemId'],
          schema: { type: 'object', properties: { itemId: {}, note: {} }, required: ['itemId'] },
        },
      ],
    });
    expect(await docs({ check: true })).toEqual([]);
  });

  it('is stale when a declaration changes, and --check does not write it', async () => {
    await docs();
    await put('services/shop/dist/src/index.js', SHOP_EVENTS.replace('An item was sold.', 'An item left the shop.'));

    const stale = ['docs/EVENTS.md', 'docs/events/shop.json'];
    expect(await docs({ check: true })).toEqual(stale);
    expect(await read('docs/EVENTS.md')).toContain('An item was sold.');
    expect(await docs()).toEqual(stale);
    expect(await read('docs/EVENTS.md')).toContain('An item left the shop.');
  });

  it('loses the files of a service that is gone or publishes nothing any more', async () => {
    await docs();
    await put('services/shop/dist/src/index.js', 'exports.EVENTS = [];\n');

    expect(await docs()).toEqual(['docs/EVENTS.md', 'docs/events/shop.json']);
    expect(await readdir(path.join(root, 'docs/events'))).toEqual([]);
  });

  it('keeps the events of a service that is not built', async () => {
    await docs();
    await rm(path.join(root, 'services/shop/dist'), { recursive: true });
    const lines: string[] = [];

    expect(await docs({ check: true, onProgress: (line) => lines.push(line) })).toEqual([]);
    expect(lines).toEqual(['shop is not built; its events stay as they are in docs/events/shop.json']);
  });

  it('reports a service whose code cannot be loaded', async () => {
    await put('services/shop/dist/src/index.js', 'throw new Error("EVENTS.INVALID_EVENT_TYPE: note is free text");\n');

    await expect(docs()).rejects.toMatchObject({
      code: 'WORKSPACE.FAILED',
      message: 'An error occurred while reading the events of the services',
      why: expect.stringContaining('note is free text'),
      next: 'Correct the problem and run "npm run build"',
    });
  });

  async function docs({ check = false, onProgress }: { check?: boolean; onProgress?: (line: string) => void } = {}) {
    const services = await findServices(root);
    const others = await renderEvents(readSettings(root, services, {}), services, { onProgress });
    const stale = await writeDocuments(root, await readSchemaModel(services), services, { check, others });
    return stale.filter((file) => /events/i.test(file));
  }

  async function givenService(name: string, code: string): Promise<void> {
    const azora = { database: `azora_${name}`, extensions: [] };
    await put(`services/${name}/package.json`, JSON.stringify({ name: `@azora/${name}`, version: '1.0.0', azora }));
    await put(`services/${name}/prisma/schema.prisma`, 'datasource db {\n  provider = "postgresql"\n}\n');
    await put(`services/${name}/dist/src/index.js`, code);
  }

  async function put(file: string, text: string): Promise<void> {
    await mkdir(path.dirname(path.join(root, file)), { recursive: true });
    await writeFile(path.join(root, file), text);
  }

  const read = (file: string) => readFile(path.join(root, file), 'utf8');
});

const SHOP_EVENTS = `exports.EVENTS = [{
  type: 'shop.item-sold.v1',
  about: 'An item was sold.',
  jsonSchema: { type: 'object', properties: { itemId: {}, note: {} }, required: ['itemId'] },
  key: ({ itemId }) => itemId,
}];
`;
