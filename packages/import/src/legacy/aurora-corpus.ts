import { createHash } from 'node:crypto';
import { readJsonFile } from '../readers/json-file';
import type { LegacyRecord } from '../source';
import type { Stage, StageRow } from '../stage';
import { integerOf, jsonOf, numberOf, requiredText, requiredTime, textOf } from '../values';
import type { LegacyFile } from './folder';

const COLUMNS = [
  'legacy_id',
  'func_name',
  'func_signature',
  'snippet',
  'score',
  'passed',
  'total',
  'complexity',
  'iteration',
  'spec_hash',
  'spec_id',
  'sig_key',
  'timestamp',
  'metadata',
];
const FIELDS = new Set(['id', ...COLUMNS]);

/** The synthesized functions of `corpus*.json` and `corpus*.jsonl`, one JSON object a line in both. */
export function corpusStage(files: readonly LegacyFile[]): Stage {
  return {
    name: 'corpus entries',
    service: 'rag',
    table: 'corpus_entries',
    key: ['legacy_id'],
    columns: COLUMNS,
    sources: files.map((file) => ({
      name: file.name,
      files: [file.path],
      read: () => readJsonFile(file.path, file.name),
    })),
    map: (record) => [corpusRow(record)],
  };
}

function corpusRow(record: LegacyRecord): StageRow {
  const others = Object.fromEntries(Object.entries(record).filter(([field]) => !FIELDS.has(field)));
  return {
    legacy_id: textOf(record, 'id', 64) ?? createHash('sha256').update(JSON.stringify(record)).digest('hex'),
    func_name: requiredText(record, 'func_name', 255),
    func_signature: requiredText(record, 'func_signature'),
    snippet: textOf(record, 'snippet'),
    score: numberOf(record, 'score'),
    passed: integerOf(record, 'passed', 0),
    total: integerOf(record, 'total', 0),
    complexity: integerOf(record, 'complexity', 0),
    iteration: integerOf(record, 'iteration', 0),
    spec_hash: textOf(record, 'spec_hash', 64),
    spec_id: textOf(record, 'spec_id', 64),
    sig_key: textOf(record, 'sig_key'),
    timestamp: requiredTime(record, 'timestamp'),
    metadata: Object.keys(others).length === 0 ? null : jsonOf({ others }, 'others'),
  };
}
