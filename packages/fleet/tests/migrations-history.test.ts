import { createHash } from 'node:crypto';
import type { Migration } from '@azora/db-migrate';
import { compareHistory, type HistoryRow } from '@azora/db-migrate';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

function givenFile(name: string, sql = `SELECT '${name}';\n`): Migration {
  const down = { irreversible: 'made for a test' };
  const file = `/${name}/migration.sql`;
  return { name, directory: `/${name}`, file, sql, checksum: sha256(sql), transactional: true, down, squashes: [] };
}

function givenRow(name: string, changes: Partial<HistoryRow> = {}): HistoryRow {
  const { checksum } = givenFile(name);
  return { id: name, name, checksum, finished: true, rolledBack: false, logs: null, ...changes };
}

const NOTHING = {
  applied: [],
  pending: [],
  failed: [],
  unfinished: [],
  edited: [],
  missing: [],
  newer: [],
  renamed: [],
  outOfOrder: [],
  recognized: [],
  partlySquashed: [],
};

describe('comparing files and history', () => {
  it('finds nothing in an empty folder and an empty history', () => {
    expect(compareHistory([], [])).toEqual(NOTHING);
  });

  it('distinguishes applied and pending migrations', () => {
    expect(compareHistory([givenFile('1'), givenFile('2')], [givenRow('1')])).toEqual({
      ...NOTHING,
      applied: ['1'],
      pending: ['2'],
    });
  });

  it('finds an edited file, and ignores line endings', () => {
    const unix = 'SELECT 1;\nSELECT 2;\n';
    const windows = unix.replaceAll('\n', '\r\n');
    const files = [givenFile('1', unix), givenFile('2', windows), givenFile('3', 'SELECT 3;')];
    const rows = [
      givenRow('1', { checksum: sha256(windows) }),
      givenRow('2', { checksum: sha256(unix) }),
      givenRow('3', { checksum: sha256('SELECT 3; ') }),
    ];

    expect(compareHistory(files, rows)).toEqual({ ...NOTHING, applied: ['1', '2', '3'], edited: ['3'] });
  });

  it('finds an applied migration without a file', () => {
    expect(compareHistory([givenFile('2')], [givenRow('1'), givenRow('2')])).toEqual({
      ...NOTHING,
      applied: ['1', '2'],
      missing: ['1'],
    });
  });

  it('finds migrations of newer code, and a folder with a new name', () => {
    expect(compareHistory([givenFile('1')], [givenRow('1'), givenRow('2')])).toEqual({
      ...NOTHING,
      applied: ['1', '2'],
      missing: ['2'],
      newer: ['2'],
    });
    const moved = givenFile('3', "SELECT '2';\n");
    expect(compareHistory([givenFile('1'), moved], [givenRow('1'), givenRow('2')])).toEqual({
      ...NOTHING,
      applied: ['1', '2'],
      pending: ['3'],
      missing: ['2'],
      renamed: [{ from: '2', to: '3' }],
    });
  });

  it('finds a pending migration that is older than an applied one', () => {
    expect(compareHistory([givenFile('1'), givenFile('2'), givenFile('3')], [givenRow('2')])).toEqual({
      ...NOTHING,
      applied: ['2'],
      pending: ['1', '3'],
      outOfOrder: ['1'],
    });
  });

  it('reports the last failed attempt of a pending migration', () => {
    const rows = [
      givenRow('1', { finished: false, rolledBack: true, logs: 'first', checksum: 'old' }),
      givenRow('1', { finished: false, rolledBack: true, logs: 'second', checksum: 'old' }),
    ];

    expect(compareHistory([givenFile('1')], rows)).toEqual({
      ...NOTHING,
      pending: ['1'],
      failed: [{ name: '1', error: 'second' }],
    });
    expect(compareHistory([givenFile('1')], [...rows, givenRow('1')])).toEqual({ ...NOTHING, applied: ['1'] });
    expect(compareHistory([], rows)).toEqual(NOTHING);
  });

  it('reports migrations that began and did not finish', () => {
    const rows = [givenRow('1', { finished: false }), givenRow('2', { finished: false, logs: 'no such table' })];

    expect(compareHistory([givenFile('1'), givenFile('2')], rows)).toEqual({
      ...NOTHING,
      pending: ['1', '2'],
      failed: [
        { name: '1', error: 'interrupted' },
        { name: '2', error: 'no such table' },
      ],
      unfinished: ['1', '2'],
    });
  });

  it('ignores a migration that was applied and then marked as rolled back', () => {
    expect(compareHistory([givenFile('1')], [givenRow('1', { rolledBack: true })])).toEqual({
      ...NOTHING,
      pending: ['1'],
    });
  });
});
