/** @server none */
import fc from 'fast-check';
import { table } from '../src/render/table';

const HEAD = ['service', 'database', 'migrations', 'rows'];
const ROWS = [
  ['notification', 'azora_notifications', '12 applied, 3 pending, 1 edited', '1,024'],
  ['mint', 'azora_mint', '3 applied', ''],
];

describe('a table', () => {
  it('is one line per row without a limit, as in a pipe', () => {
    expect(table(HEAD, ROWS).split('\n')).toEqual([
      'service       database             migrations                       rows',
      'notification  azora_notifications  12 applied, 3 pending, 1 edited  1,024',
      'mint          azora_mint           3 applied',
    ]);
  });

  it('wraps long cells between words on a narrow terminal', () => {
    expect(table(HEAD, ROWS, 60).split('\n')).toEqual([
      'service       database             migrations          rows',
      'notification  azora_notifications  12 applied, 3       1,024',
      '                                   pending, 1 edited',
      'mint          azora_mint           3 applied',
    ]);
  });

  it('prints a block per row where words do not fit', () => {
    expect(table(HEAD, ROWS, 40).split('\n')).toEqual([
      'notification',
      '  database: azora_notifications',
      '  migrations: 12 applied, 3 pending, 1 edited',
      '  rows: 1,024',
      'mint',
      '  database: azora_mint',
      '  migrations: 3 applied',
    ]);
  });

  it('has only a head without rows', () => {
    expect(table(HEAD, [], 40)).toBe('service  database  migrations  rows');
  });

  it('keeps every word, and fits the terminal unless one cell alone is wider', () => {
    const cell = fc.array(fc.stringMatching(/^[a-z0-9]{1,12}$/), { maxLength: 5 }).map((words) => words.join(' '));
    const rows = fc.array(fc.tuple(fc.stringMatching(/^[a-z]{1,12}$/), cell, cell, cell), {
      minLength: 1,
      maxLength: 6,
    });

    fc.assert(
      fc.property(rows, fc.integer({ min: 20, max: 120 }), (cells, width) => {
        const text = table(HEAD, cells, width);
        const words = new Set(text.split(/\s+/));
        const widest = Math.max(...cells.flat().map((it) => it.length)) + 'migrations: '.length + 2;

        expect(
          cells
            .flat()
            .flatMap((it) => it.split(' '))
            .filter((word) => word !== '' && !words.has(word)),
        ).toEqual([]);
        expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(Math.max(width, widest));
      }),
    );
  });
});
