import { isRecord } from '@azora/db-core';
import type { ProgressEvent, ServiceRow } from '../operations/fleet';
import { countsText } from '../render/fleet';
import { commandLine } from './command';

/** What a command leaves when it is interrupted. */
interface Remains {
  /** The state of the databases and files after a stop at a safe point, in full sentences. */
  readonly left: string | ((args: readonly string[]) => string);
  /** Whether an immediate stop can leave scratch databases or unfinished files. */
  readonly litters?: true;
  /** The command that continues; without it, the same command again. */
  readonly next?: (args: readonly string[], services: readonly InterruptedService[]) => string;
}

interface InterruptedService {
  readonly service: string;
  readonly state: ServiceRow<unknown>['state'];
}

const UNCHANGED: Remains = { left: 'Nothing was changed.' };
const SCRATCH_ONLY: Remains = { left: 'Nothing was changed. The scratch databases were dropped.', litters: true };

const IMPORT: Remains = { left: 'Every batch that was written is whole. The next run continues behind it.' };

/** By the words of the command. A command that is not listed only reads, or does its work in one step. */
export const REMAINS: Readonly<Record<string, Remains>> = {
  setup: { left: 'Databases, migrations and rows that are done stay. The next run does the rest.', litters: true },
  seed: { left: seedLeft },
  reset: { left: 'A dropped database may not have been created again; "npx azora-db setup" creates it.' },
  generate: { left: 'Some clients may be missing or old.' },
  docs: { left: 'Some documents may be old. The scratch databases were dropped.', litters: true },
  'migrate up': { left: 'Applied migrations stay. No migration is applied in part.' },
  'migrate down': { left: 'Reverted migrations stay reverted. No migration is reverted in part.', next: nextDown },
  'migrate new': SCRATCH_ONLY,
  'migrate drift': SCRATCH_ONLY,
  'migrate verify': SCRATCH_ONLY,
  'migrate baseline': { left: 'Nothing was recorded as applied.', litters: true },
  'migrate plan': UNCHANGED,
  'migrate tag': UNCHANGED,
  'migrate lint': UNCHANGED,
  'migrate doctor': UNCHANGED,
  'migrate status': UNCHANGED,
  status: UNCHANGED,
  check: UNCHANGED,
  url: UNCHANGED,
  backup: { left: 'No set was stored, and the unfinished set was removed.', litters: true },
  'backup verify': { left: 'The set is unchanged, and no result was stored.', litters: true },
  'backup drill': { left: 'The set is unchanged, and the result of the last drill stays.', litters: true },
  'backup prune': { left: 'The sets that were not removed yet are complete.', litters: true },
  restore: { left: 'Databases that are not listed as restored are unchanged.', litters: true },
  'pitr enable': { left: 'The server runs. The archive may be enabled already; the next run proves it.' },
  'pitr base': { left: 'No base backup was stored, and the unfinished copy was removed.', litters: true },
  'pitr restore': { left: 'The server and its data are unchanged. The unfinished copy was removed.', litters: true },
  prune: { left: 'Every batch that was deleted is whole, and audit chains stay valid. The next run deletes the rest.' },
  cleanup: { left: 'Some of what was listed may be removed. The next run removes the rest.' },
  'events status': UNCHANGED,
  'events dead': { left: 'Dead letters that are not listed as changed are unchanged.' },
  'events replay': { left: 'The consumer continues where it was, unless the replay is reported.' },
  'events forget': { left: 'The consumer is unchanged, unless its removal is reported.' },
  'rag index': { left: 'What is indexed stays, and searches find it. The next run does the rest.' },
  'rag search': UNCHANGED,
  'rag graph': UNCHANGED,
  'rag verify': UNCHANGED,
  'import aurora': IMPORT,
  'import aragora': IMPORT,
  'import table': IMPORT,
  'import list': UNCHANGED,
  'import rollback': { left: 'Rows that were taken out stay out. The next run takes out the rest.' },
  'service new': { left: 'The folder of the service exists only if it is complete.' },
  'server start': { left: 'A server may still be starting; "npx azora-db server status" shows it.' },
  'server stop': { left: 'A server may still be stopping; "npx azora-db server status" shows it.' },
};

function seedLeft(args: readonly string[]): string {
  const left = 'Rows that were inserted stay, and unfinished transactions were rolled back.';
  return args.includes('--reset') ? `${left} Tables that were emptied stay empty until the next seed.` : left;
}

/** With --to, the same command does the rest. By steps, it would revert more where it is done already. */
function nextDown(args: readonly string[], services: readonly InterruptedService[]): string {
  if (args.some((arg) => arg === '--to' || arg.startsWith('--to='))) return commandLine(args);
  if (services.some(({ state }) => state === 'interrupted')) return 'npx azora-db migrate status';
  const left = services.filter(({ state }) => state !== 'done').map(({ service }) => service);
  return left.length === 0 ? commandLine(args) : commandLine([...withoutSelection(args), '--service', left.join(',')]);
}

function withoutSelection(args: readonly string[]): readonly string[] {
  return args.filter((arg, at) => {
    const isOption = ['--service', '-s', '--all'].includes(arg) || arg.startsWith('--service=') || /^-s./.test(arg);
    return !isOption && !['--service', '-s'].includes(args[at - 1] ?? '');
  });
}

/** The states of the services in the last run over the fleet, as its progress reports them. */
export class RunStates {
  private readonly states = new Map<string, ProgressEvent['state']>();

  observe({ service, state }: ProgressEvent): void {
    // The first event of the next run.
    if (state === 'queued' && [...this.states.values()].some((it) => it !== 'queued')) this.states.clear();
    this.states.set(service, state);
  }

  /** Work that has not ended counts as interrupted. */
  list(): readonly InterruptedService[] {
    return [...this.states].map(([service, state]) => {
      if (state === 'queued') return { service, state: 'not-started' };
      return { service, state: state === 'started' || state === 'working' ? 'interrupted' : state };
    });
  }
}

/** The states in the rows of a result; undefined when it has no rows of a run over the fleet. */
export function statesOfRows(rows: unknown): readonly InterruptedService[] | undefined {
  if (!Array.isArray(rows)) return undefined;
  const found = rows.filter(isRow);
  return found.length === rows.length && found.length > 0 ? found : undefined;
}

function isRow(row: unknown): row is InterruptedService {
  return isRecord(row) && typeof row['service'] === 'string' && STATES.has(row['state']);
}

const STATES: ReadonlySet<unknown> = new Set(['done', 'failed', 'interrupted', 'not-started']);

export interface Interruption {
  /** Whether the command had done all of its work. */
  readonly isComplete: boolean;
  readonly services: readonly InterruptedService[];
  readonly left: string;
  /** The command that continues; null when nothing is left to do. */
  readonly next: string | null;
}

/**
 * Describes the state after a stop at a safe point.
 * @param command the words of the command, such as `migrate up`
 * @param succeeded whether the command returned a result without a failure
 */
export function describeInterruption(
  command: string,
  args: readonly string[],
  services: readonly InterruptedService[],
  succeeded: boolean,
): Interruption {
  const isComplete = succeeded && services.every(({ state }) => state === 'done');
  if (isComplete) return { isComplete, services, left: 'The command had done all of its work.', next: null };
  const { left = '', next } = REMAINS[command] ?? {};
  const state = typeof left === 'string' ? left : left(args);
  return { isComplete, services, left: state, next: next?.(args, services) ?? commandLine(args) };
}

/** The summary of an interrupted command, and the next command as a person can type it. */
export function interruptionText({ services, left, next }: Interruption): string {
  const counts = services.length === 0 ? '' : `: ${countsText(services)}`;
  return [`Interrupted${counts}. ${left}`.trim(), ...(next === null ? [] : [`→ ${next}`])].join('\n');
}

/** The interruption as data for `--json`; `services` stands in for the rows of a command that had no result. */
export function interruptionData({ services, left, next }: Interruption) {
  return { interrupted: true, ...(services.length === 0 ? {} : { services }), left, next };
}

/** What a person reads who did not wait for the safe point. */
export function stoppedText(command: string): string {
  const stopped = 'Stopped immediately. The servers roll back the open transactions';
  if (REMAINS[command]?.litters !== true) return `${stopped}\n`;
  return `${stopped}. Scratch databases and unfinished files may be left; "npx azora-db cleanup" shows and removes them\n`;
}
