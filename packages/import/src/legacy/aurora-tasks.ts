import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { isRecord } from '@azora/db-core';
import { readJsonFile } from '../readers/json-file';
import { readTaskFile } from '../readers/task-file';
import { type LegacyRecord, type Position, type Reject, Rejection, type SourceItem, toReject } from '../source';
import type { Stage, StageRow } from '../stage';
import { jsonOf, requiredText, textOf, timeOf } from '../values';
import type { LegacyFile } from './folder';

const TEXT = /\.(completed|flag)$/;
const HISTORY = 'aurora_task_history.json';
const COMPLETED = 'aurora_completed_tasks.json';
const PRIORITY = /\b(low|normal|medium|high|critical)\b/;
const STATUSES: Readonly<Record<string, string>> = {
  pending: 'pending',
  // The worker of a legacy task is gone, so the task can be claimed again.
  in_progress: 'pending',
  running: 'pending',
  completed: 'completed',
  success: 'completed',
  failed: 'failed',
  error: 'failed',
  cancelled: 'cancelled',
};

/** Whether a file of Aurora's knowledge holds tasks. */
export function isTaskFile(name: string): boolean {
  return TEXT.test(name) || [HISTORY, COMPLETED].includes(path.posix.basename(name));
}

/**
 * The tasks of the text files, of the completed tasks and of the history. They describe the same tasks: Aurora's id of a task is the
 * beginning of the MD5 hash of its text file.
 */
export function taskStage(files: readonly LegacyFile[]): Stage {
  return {
    name: 'tasks',
    service: 'agent',
    table: 'tasks',
    key: ['id'],
    columns: [
      'id',
      'title',
      'description',
      'status',
      'priority',
      'created_at',
      'updated_at',
      'completed_at',
      'task_type',
      'metadata',
    ],
    sources:
      files.length === 0
        ? []
        : [{ name: 'tasks of .aurora_knowledge', files: files.map((file) => file.path), read: () => readTasks(files) }],
    map: (record) => [taskRow(record)],
  };
}

/** What the files say about the tasks, by their ids. A later file adds to a task and replaces nothing. */
class ToldTasks {
  private readonly tasks = new Map<string, { readonly position: Position; readonly value: LegacyRecord }>();
  private readonly byStem = new Map<string, string>();

  tell(id: string, position: Position, value: LegacyRecord): void {
    const known = this.tasks.get(id);
    this.tasks.set(id, {
      position: known?.position ?? position,
      value: { ...value, ...known?.value, id },
    });
  }

  /** A task of a list, which may name its text file. */
  tellListed(position: Position, value: LegacyRecord): void {
    const id = requiredText(value, 'id' in value ? 'id' : 'task_id', 32);
    this.tell(id, position, value);
    const flag = textOf(value, 'flag_file');
    if (flag !== null) this.byStem.set(stemOf(flag), id);
  }

  /** The task of a text file: the one with Aurora's id, the one that names the file, or one with an id that outlives changes of the text. */
  idOf(name: string, auroraId: string): string {
    return this.tasks.has(auroraId) ? auroraId : (this.byStem.get(stemOf(name)) ?? nameId(name));
  }

  all(): Iterable<SourceItem> {
    return this.tasks.values();
  }
}

async function* readTasks(files: readonly LegacyFile[]): AsyncGenerator<SourceItem> {
  const tasks = new ToldTasks();
  const inOrder = [COMPLETED, HISTORY].flatMap((wanted) =>
    files.filter(({ name }) => path.posix.basename(name) === wanted),
  );
  for (const file of inOrder) {
    for await (const item of readListed(file)) {
      const reject =
        item.value === undefined ? item : rejectOf(item.position, () => tasks.tellListed(item.position, item.value));
      if (reject !== undefined) yield reject;
    }
  }
  for (const file of files.filter(({ name }) => TEXT.test(name))) {
    const position = { file: file.name, record: 1 };
    try {
      const { id, value } = await textTask(file);
      tasks.tell(tasks.idOf(file.name, id), position, value);
    } catch (error) {
      yield toReject(error, position);
    }
  }
  yield* tasks.all();
}

function rejectOf(position: Position, work: () => void): Reject | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return toReject(error, position);
  }
}

/** The tasks of a JSON file: an array, or the member `history` of a document. */
async function* readListed(file: LegacyFile): AsyncGenerator<SourceItem> {
  for await (const item of readJsonFile(file.path, file.name)) {
    const history = item.value?.['history'];
    if (!Array.isArray(history)) {
      yield item;
      continue;
    }
    for (const [at, value] of history.entries()) {
      const position = { file: file.name, record: at + 1 };
      if (isRecord(value)) yield { position, value: { ...value, status: 'completed' } };
      else yield { position, code: 'NOT_AN_OBJECT', reason: 'The entry of the history is not a JSON object' };
    }
  }
}

const stemOf = (name: string) => path.posix.basename(name).replace(TEXT, '');

/** An id that stays the same when the text changes. */
const nameId = (name: string) => `aurora-${createHash('md5').update(stemOf(name)).digest('hex').slice(0, 16)}`;

async function textTask(file: LegacyFile): Promise<{ readonly id: string; readonly value: LegacyRecord }> {
  const { bytes, fields, title, prose } = await readTaskFile(file.path);
  const { mtime } = await stat(file.path);
  const get = (...names: readonly string[]) => names.map((name) => fields.get(name)).find((it) => it !== undefined);
  const stated = (get('status') ?? '').toLowerCase();
  const word = Object.keys(STATUSES).find((it) => stated.includes(it));
  const requested = get('requested');
  const value = {
    title: get('task') ?? title ?? stemOf(file.name),
    description: [...(requested === undefined ? [] : [requested]), ...(prose === '' ? [] : [prose])].join('\n\n'),
    // The ending of the file is what Aurora went by; texts keep the state in which they were written.
    status: file.name.endsWith('.completed') ? 'completed' : (word ?? 'pending'),
    priority: get('priority'),
    type: get('task type'),
    created_at: get('created at', 'start time'),
    completed_at: get('completed at'),
    modified_at: mtime.toISOString(),
    file: path.posix.basename(file.name),
    fields: Object.fromEntries(fields),
  };
  const known = Object.fromEntries(Object.entries(value).filter(([, it]) => it !== undefined));
  return { id: createHash('md5').update(bytes).digest('hex').slice(0, 12), value: known };
}

const TOLD = new Set([
  'id',
  'task_id',
  'title',
  'description',
  'status',
  'priority',
  'type',
  'created_at',
  'completed_at',
  'modified_at',
]);

function taskRow(record: LegacyRecord): StageRow {
  const status = STATUSES[(textOf(record, 'status') ?? 'pending').toLowerCase()];
  if (status === undefined)
    throw new Rejection('INVALID_VALUE', `status is not one of ${Object.keys(STATUSES).join(', ')}`);
  const completedAt = status === 'completed' ? timeOf(record, 'completed_at') : null;
  const createdAt = timeOf(record, 'created_at') ?? completedAt ?? timeOf(record, 'modified_at');
  if (createdAt === null) throw new Rejection('INVALID_VALUE', 'created_at is not a time (ISO 8601 or seconds)');
  const others = Object.fromEntries(Object.entries(record).filter(([field]) => !TOLD.has(field)));
  const description = textOf(record, 'description');
  return {
    id: requiredText(record, 'id', 32),
    title: textOf(record, 'title', 255) ?? titleOf(record),
    description: description === '' ? null : description,
    status,
    priority: PRIORITY.exec((textOf(record, 'priority') ?? '').toLowerCase())?.[1] ?? 'normal',
    created_at: createdAt,
    updated_at: completedAt ?? createdAt,
    completed_at: completedAt,
    task_type: textOf(record, 'type', 50),
    metadata: jsonOf({ others }, 'others'),
  };
}

/** A task that only the history has. */
function titleOf(record: LegacyRecord): string {
  const flag = textOf(record, 'flag_file');
  return flag === null ? `Aurora task ${requiredText(record, 'id')}` : stemOf(flag);
}
