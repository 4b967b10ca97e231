/** @server none */
import path from 'node:path';
import { readCsv } from '../src/readers/csv';
import { readJsonDocument } from '../src/readers/json-document';
import { readJsonFile } from '../src/readers/json-file';
import { readJsonLines } from '../src/readers/json-lines';
import { readTaskFile } from '../src/readers/task-file';
import type { SourceItem } from '../src/source';
import { useFolder, write } from './legacy-fixture';

async function all(items: AsyncIterable<SourceItem>): Promise<readonly SourceItem[]> {
  const found: SourceItem[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** The values, or the code with line and byte of a reject. */
const brief = (items: readonly SourceItem[]) =>
  items.map((item) =>
    item.value === undefined ? `${item.code} ${item.position.line}:${item.position.byte}` : item.value,
  );

const folder = useFolder();
const file = (name: string) => path.join(folder(), name);

describe('readJsonLines', () => {
  const read = async (content: string | Uint8Array) => {
    write(folder(), { 'a.jsonl': content });
    return all(readJsonLines(file('a.jsonl'), 'a.jsonl'));
  };

  it('rejects one line at a time, with the line and the byte of the error', async () => {
    const items = await read('{"a":1}\n{"a":1]\r\n[1]\n\n  \n{"a":"\\ud800"}\n{"a":"\\u0000"}\n{"a":2}\n');

    expect(brief(items)).toEqual([
      { a: 1 },
      'INVALID_JSON 2:14',
      'NOT_AN_OBJECT 3:17',
      'INVALID_VALUE 6:25',
      'INVALID_VALUE 7:40',
      { a: 2 },
    ]);
    expect(items.map(({ position }) => position.record)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('reads a file with a byte order mark, and names the byte where invalid UTF-8 begins', async () => {
    const broken = Buffer.concat([Buffer.from('{"a":"é'), Buffer.from([0xff]), Buffer.from('"}\n')]);

    const items = await read(Buffer.concat([Buffer.from('\ufeff{"a":1}\n'), broken, Buffer.from('{"a":2}')]));

    expect(brief(items)).toEqual([{ a: 1 }, 'INVALID_UTF8 2:19', { a: 2 }]);
  });

  it('says that the last line is truncated', async () => {
    const items = await read('{"a":1}\n{"a":"so');

    expect(items[1]).toEqual({
      position: { file: 'a.jsonl', record: 2, line: 2, byte: expect.any(Number) },
      code: 'INVALID_JSON',
      reason: expect.stringMatching(/; it is the last line, and nothing ends it$/),
    });
  });

  it('reads a line of 20 MB, and rejects one that is too long without losing the next one', async () => {
    const long = 'x'.repeat(20 * 1024 * 1024);
    const tooLong = Buffer.alloc(65 * 1024 * 1024, 'y');

    const items = await read(Buffer.concat([Buffer.from(`{"a":"${long}"}\n`), tooLong, Buffer.from('\n{"a":2}\n')]));

    expect(items.map((item) => item.value?.['a'] ?? item)).toEqual([
      long,
      { position: expect.objectContaining({ line: 2 }), code: 'TOO_LONG', reason: expect.any(String) },
      2,
    ]);
  });

  it('names the file that it cannot read', async () => {
    await expect(all(readJsonLines(file('absent.jsonl'), 'absent'))).rejects.toMatchObject({
      code: 'IMPORT.CANNOT_READ',
      why: 'ENOENT.',
    });
  });
});

describe('readJsonDocument', () => {
  const read = async (content: string) => {
    write(folder(), { 'a.json': content });
    return all(readJsonDocument(file('a.json'), 'a.json'));
  };

  it('reads the elements of an array one by one, and continues behind a broken one', async () => {
    expect(brief(await read('[ {"a":"],[\\""},\n{"a":1,},{"b":[{}]} ]'))).toEqual([
      { a: '],["' },
      'INVALID_JSON 2:24',
      { b: [{}] },
    ]);
  });

  it('reads an object as one record', async () => {
    expect(brief(await read('{"a":\n[1]}\n'))).toEqual([{ a: [1] }]);
  });

  it.each([
    ['', 'INVALID_JSON'],
    ['[', 'INVALID_JSON'],
    ['[]', ''],
    [' [ ] ', ''],
    ['[{}', 'INVALID_JSON'],
    ['[{}]x', 'INVALID_JSON'],
    ['[{},]', 'INVALID_JSON'],
    ['[,{}]', 'INVALID_JSON'],
    ['[{}{}]', 'INVALID_JSON'],
    ['[{"a":1 "b":2}]', 'INVALID_JSON'],
    ['[{"a":}]', 'INVALID_JSON'],
    ["[{'a':1}]", 'INVALID_JSON'],
    ['[{"a":01}]', 'INVALID_JSON'],
    ['[{"a":NaN}]', 'INVALID_JSON'],
    ['[{"a":1e400}]', ''],
    ['[{"a":"\t"}]', 'INVALID_JSON'],
    ['[{"a":1}//\n]', 'INVALID_JSON'],
    ['{"a":1}}', 'INVALID_JSON'],
    ['{"a":1', 'INVALID_JSON'],
    ['[[]]', 'NOT_AN_OBJECT'],
    ['[1]', 'NOT_AN_OBJECT'],
    [']', 'INVALID_JSON'],
    ['['.repeat(100_000), 'INVALID_JSON'],
  ])('%#: is as strict as RFC 8259', async (content, code) => {
    const rejects = (await read(content)).filter((item) => item.value === undefined);

    expect(rejects.map((item) => item.value === undefined && item.code)).toEqual(code === '' ? [] : [code]);
  });

  it('tells JSON lines from a document whatever the name of the file says', async () => {
    write(folder(), {
      'lines.json': '{"a":1}\n{"a":2}\n',
      'first.json': '{"a":\n{"a":2}\n',
      'one.json': '{"a":1}\n',
      'pretty.json': '{\n"a":1\n}',
    });
    const values = async (name: string) => brief(await all(readJsonFile(file(name), name)));

    expect(await values('lines.json')).toEqual([{ a: 1 }, { a: 2 }]);
    expect(await values('first.json')).toEqual(['INVALID_JSON 1:5', { a: 2 }]);
    expect(await values('one.json')).toEqual([{ a: 1 }]);
    expect(await values('pretty.json')).toEqual([{ a: 1 }]);
  });
});

describe('readTaskFile', () => {
  it('reads both dialects, and a file without a head', async () => {
    write(folder(), {
      a: 'TASK: FIX\nCREATED_AT: 2025-11-10 14:25:00\nCOMPLETED AT: 2025-11-11\n\n════\nNOTE: prose\n',
      b: '# Fix it\nTask Type: creative\n\nDescription:\nmore',
      c: '',
    });
    const a = await readTaskFile(file('a'));
    const b = await readTaskFile(file('b'));
    const c = await readTaskFile(file('c'));

    expect([...a.fields]).toEqual([
      ['task', 'FIX'],
      ['created at', '2025-11-10 14:25:00'],
      ['completed at', '2025-11-11'],
    ]);
    expect(a.prose).toBe('════\nNOTE: prose');
    expect([b.title, [...b.fields], b.prose]).toEqual(['Fix it', [['task type', 'creative']], 'Description:\nmore']);
    expect([c.title, c.fields.size, c.prose]).toEqual([undefined, 0, '']);
  });
});

describe('readCsv', () => {
  it('reads quoted fields, empty fields as null, and rejects records with another number of fields', async () => {
    write(folder(), {
      'a.csv': Buffer.concat([
        Buffer.from('\ufeffname,note\r\n"é, x","a ""b""\nc"\r\nd,\r\ne\r\nf,""\r\n'),
        Buffer.from([0xff, 0x2c, 0x0d, 0x0a]),
        Buffer.from('g,h'),
      ]),
    });

    const items = await all(readCsv(file('a.csv'), 'a.csv', ','));

    expect(items.map((item) => (item.value === undefined ? item.code : Object.values(item.value)))).toEqual([
      ['é, x', 'a "b"\nc'],
      ['d', null],
      'INVALID_CSV',
      ['f', ''],
      'INVALID_UTF8',
      ['g', 'h'],
    ]);
  });
});
