/** @server none */
import { copyFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Database } from 'node-sqlite3-wasm';
import { openSqlite } from '../src/readers/sqlite';
import { hashesOf, useFolder } from './legacy-fixture';

const folder = useFolder();
const file = (name: string) => path.join(folder(), name);

async function rowsOf(name: string, table: string, rowid?: string): Promise<readonly unknown[]> {
  const source = await openSqlite(file(name), name);
  try {
    return [...source.read(table, rowid)].map(({ position: _, ...item }) => item.value ?? item);
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

function exec(name: string, sql: string): void {
  const database = new Database(file(name));
  database.exec(sql);
  database.close();
}

it('rejects text that is not valid, and keeps what stands behind a zero byte', async () => {
  exec(
    'a.db',
    "CREATE TABLE a (id, text); INSERT INTO a VALUES (1, 'sound \uFFFD'), (2, CAST(x'c328' AS TEXT)), (3, CAST(x'610062' AS TEXT)), (4, x'c328'), (5, '')",
  );
  expect(await rowsOf('a.db', 'a')).toEqual([
    { id: 1, text: 'sound \uFFFD' },
    { code: 'INVALID_UTF8', reason: 'text is not valid UTF-8' },
    { id: 3, text: 'a\0b' },
    { id: 4, text: new Uint8Array([0xc3, 0x28]) },
    { id: 5, text: '' },
  ]);
});

it('adds the rowid under a name that no column has, and leaves out virtual tables', async () => {
  exec(
    'a.db',
    `CREATE TABLE a (text); INSERT INTO a VALUES ('x'), ('y'); DELETE FROM a WHERE text = 'x';
     CREATE TABLE b (id TEXT); INSERT INTO b VALUES ('own');
     CREATE TABLE c (k TEXT PRIMARY KEY) WITHOUT ROWID; INSERT INTO c VALUES ('k');
     CREATE VIRTUAL TABLE search USING fts5(text)`,
  );
  expect(await rowsOf('a.db', 'a', 'id')).toEqual([{ id: 2, text: 'y' }]);
  expect(await rowsOf('a.db', 'b', 'id')).toEqual([{ id: 'own' }]);
  expect(await rowsOf('a.db', 'c', 'id')).toEqual([{ k: 'k' }]);
  const source = await openSqlite(file('a.db'), 'a.db');
  expect([...source.tables.keys()]).toEqual(['a', 'b', 'c']);
  await source.close();
});

it('refuses a database in the middle of a transaction, and reads it when the transaction has ended', async () => {
  make('a.db');
  const writer = new Database(file('a.db'));
  // A small cache writes pages to the file before the transaction ends.
  writer.exec('PRAGMA journal_mode = PERSIST; PRAGMA cache_size = 1; BEGIN EXCLUSIVE; DELETE FROM a WHERE id > 10');
  const before = hashesOf(folder());
  const { mtimeNs } = statSync(file('a.db'), { bigint: true });

  await expect(openSqlite(file('a.db'), 'a.db')).rejects.toMatchObject({ code: 'IMPORT.CANNOT_READ' });
  expect(hashesOf(folder())).toEqual(before);
  expect(statSync(file('a.db'), { bigint: true }).mtimeNs).toBe(mtimeNs);
  writer.exec('ROLLBACK');
  expect(await rowsOf('a.db', 'a')).toHaveLength(100);
  writer.close();
});

/** The numbers of xorshift32. */
function* randomNumbers(seed: number): Generator<number> {
  for (let state = seed; ; yield state >>> 0) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
  }
}

it('reads or refuses a database with a flipped bit, and never fails in another way', async () => {
  make('a.db');
  const sound = readFileSync(file('a.db'));
  const outcomes = { read: 0, refused: 0 };
  const numbers = randomNumbers(20_261_130);
  const next = () => Number(numbers.next().value);
  for (let run = 0; run < 60; run += 1) {
    const bytes = Buffer.from(sound);
    // Every second one is in the header or in the schema.
    const at = next() % (run % 2 === 0 ? 4096 : bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (next() % 8));
    writeFileSync(file('b.db'), bytes);
    try {
      const source = await openSqlite(file('b.db'), 'b.db');
      try {
        for (const table of source.tables.keys())
          for (const { position } of source.read(table)) expect(position.file).toBe('b.db');
      } finally {
        await source.close();
      }
      outcomes.read += 1;
    } catch (error) {
      expect(error).toMatchObject({ code: 'IMPORT.CORRUPT_DATABASE' });
      outcomes.refused += 1;
    }
  }
  expect(outcomes.read).toBeGreaterThan(0);
  expect(outcomes.refused).toBeGreaterThan(0);
});
