import { useDatabase } from '@azora/db-testkit';
import { addItem, listItems, openTemplate, type Template } from '../src';

describe('items', () => {
  const db = useDatabase('template');
  let template: Template;
  beforeAll(() => {
    template = openTemplate({ url: db().url });
  });
  afterAll(() => template.close());

  it('are added once per name when four calls race', async () => {
    const input = { userId: 'ada', name: 'Notebook' };
    const items = await Promise.all(Array.from({ length: 4 }, () => addItem(template, input)));

    const [first] = items;
    expect(items).toEqual(Array(4).fill(first));
    expect(await listItems(template, { userId: 'ada' })).toEqual([first]);
  });

  it('are listed for their user alone, the newest first', async () => {
    const pencil = await addItem(template, { userId: 'ben', name: 'Pencil' });
    const ruler = await addItem(template, { userId: 'ben', name: 'Ruler' });
    await addItem(template, { userId: 'eve', name: 'Pencil' });
    await db().admin(`UPDATE items SET created_at = created_at - interval '1 hour' WHERE id = '${pencil.id}'`);

    const names = (await listItems(template, { userId: 'ben' })).map(({ name }) => name);
    expect(names).toEqual([ruler.name, 'Pencil']);
  });
});
