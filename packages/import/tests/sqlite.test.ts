/** @server none */
import { copyFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Database } from 'node-sqlite3-wasm';
import { openSqlite } from '../src/readers/sqlite';
import { hashesOf, useFolder } from './legacy-fixture';

const folder = useFolder();
const file = (name: string) => path.join(folder(), name);

async function rowsOf(name: string, table: string): Promise<readonly unknown[]> {
  const source = await openSqlite(file(name), name);
  try {
    return [...source.read(table)].map(({ value }) => value);
  } finally {
    await source.close();
  }
}

/** A database of several pages, in which 100 rows fill table `a`. */
function make(name: string): void {
  const database = new Database(file(name));
  database.exec('CREATE TABLE a (id INTEGER PRIMARY KEY, text TEXT, real REAL, blob BLOB)');
  database.exec('BEGIN');
  for (let id = 1; id <= 100; id += 1) {
    database.run('INSERT INTO a VALUES (?, ?, ?, ?)', [id, 'x'.repeat(200), id / 2, new Uint8Array([id])]);
  }
  database.exec('COMMIT');
  database.close();
}

it('reads rows with the types of SQLite, and leaves the source byte for byte as it is', async () => {
  make('a.db');
  const before = hashesOf(folder());

  const rows = await rowsOf('a.db', 'a');

  expect(rows).toHaveLength(100);
  expect(rows[2]).toEqual({ id: 3, text: 'x'.repeat(200), real: 1.5, blob: new Uint8Array([3]) });
  expect(hashesOf(folder())).toEqual(before);
});

it('reads what is only in the write-ahead log', async () => {
  make('a.db');
  const open = new Database(file('a.db'));
  open.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0');
  open.exec("INSERT INTO a VALUES (101, 'in the log', 1, NULL)");
  // The files of a system that runs, or that was killed.
  for (const part of ['', '-wal']) copyFileSync(file(`a.db${part}`), file(`b.db${part}`));
  open.close();
  const before = hashesOf(folder());

  expect((await rowsOf('b.db', 'a')).at(-1)).toEqual({ id: 101, text: 'in the log', real: 1, blob: null });
  expect(hashesOf(folder())).toEqual(before);
  expect(Object.keys(before)).toContain('b.db-wal');
});

it('reports a truncated, an overwritten and a foreign file, and leaves no copy of them', async () => {
  make('a.db');
  copyFileSync(file('a.db'), file('truncated.db'));
  truncateSync(file('truncated.db'), 8192);
  const bytes = readFileSync(file('a.db'));
  bytes.fill(0xff, 4096, 4096 + 64);
  writeFileSync(file('overwritten.db'), bytes);
  writeFileSync(file('foreign.db'), 'This is a letter, and it is longer than the header of a database.'.repeat(20));

  for (const name of ['truncated.db', 'overwritten.db', 'foreign.db']) {
    await expect(openSqlite(file(name), name)).rejects.toMatchObject({
      code: 'IMPORT.CORRUPT_DATABASE',
      kind: 'finding',
    });
  }
});

it('names a file that it cannot read', async () => {
  await expect(openSqlite(file('absent.db'), 'absent.db')).rejects.toMatchObject({ code: 'IMPORT.CANNOT_READ' });
});
