import type { BackupState } from '../operations/backup/sets';
import type { ServerState } from '../operations/server';
import { isHealthy, type ServiceStatus } from '../operations/status';
import { sizeText } from '../system/quantities';
import { table } from './table';

/** The fleet as a table, then a line for each problem. */
export function statusText(services: readonly ServiceStatus[], backups?: BackupState): string {
  const rows = services.map((it) => [
    it.service,
    it.database,
    it.server,
    it.reachable ? (it.serverVersion ?? '') : 'unreachable',
    stateOf(it),
    String(it.models),
    it.reachable ? sum(Object.values(it.tables)).toLocaleString('en') : '',
    it.reachable ? sizeText(it.sizeBytes) : '',
  ]);
  const head = ['service', 'database', 'server', 'version', 'migrations', 'models', 'rows', 'size'];
  return [table(head, rows), ...services.flatMap(attention), ...backupAttention(backups)].join('\n');
}

function stateOf({ migrations }: ServiceStatus): string {
  const { applied, pending, failed, edited, missing } = migrations;
  const parts = [`${applied} applied`];
  for (const [names, word] of [
    [pending, 'pending'],
    [failed, 'failed'],
    [edited, 'edited'],
    [missing, 'missing'],
  ] as const) {
    if (names.length > 0) parts.push(`${names.length} ${word}`);
  }
  return parts.join(', ');
}

function backupAttention(backups: BackupState | undefined): readonly string[] {
  if (backups === undefined) return [];
  const future = backups.future.map(
    (id) => `backups: the set ${id} claims to begin in the future and does not count; check the clocks`,
  );
  if (!backups.isStale) return future;
  const { services, location } = backups;
  const stale = services.filter(({ isStale }) => isStale);
  const none = stale.filter(({ newestVerified }) => newestVerified === null);
  const old = stale.filter(({ newestVerified }) => newestVerified !== null);
  const namesOf = (some: typeof stale) =>
    some.length === services.length ? 'all services' : some.map(({ service }) => service).join(', ');
  const problems = [
    ...(none.length === 0 ? [] : [`no verified set in ${location} holds ${namesOf(none)}`]),
    ...(old.length === 0 ? [] : [`the newest verified set of ${namesOf(old)} is older than AZORA_BACKUP_MAX_AGE`]),
  ];
  return [...future, `backups: ${problems.join('; ')}; run "npx azora-db backup" and "npx azora-db backup verify"`];
}

function attention(it: ServiceStatus): readonly string[] {
  if (isHealthy(it)) return [];
  const { pending, failed, edited, missing } = it.migrations;
  const list = (names: readonly string[], word: string, next: string) =>
    names.length > 0 ? [`${word}: ${names.join(', ')} → ${next}`] : [];
  const parts = [
    ...(it.error === null
      ? []
      : [`${it.error.message}${it.error.next === null ? '' : ` → ${it.error.next}`} [${it.error.code}]`]),
    ...list(pending, 'pending', `run "npx azora-db migrate up --service ${it.service}"`),
    ...list(failed, 'failed', `run "npx azora-db migrate status --service ${it.service}" to see the error`),
    ...list(edited, 'edited after they were applied', 'restore the files from version control'),
    ...list(missing, 'applied, but its file is missing', 'restore the folder from version control'),
    ...(it.drift === true
      ? [
          `drift: the catalog differs from the state after the last migration → run "npx azora-db migrate drift --service ${it.service}" to see the differences`,
        ]
      : []),
  ];
  return [`${it.service}: ${parts.join('; ')}`];
}

/** The servers that the suite runs itself, as a table. An idle companion starts its database for the next client. */
export function serversText(servers: readonly ServerState[]): string {
  const rows = servers.map(({ name, state, pid, address }) => [
    name,
    state,
    pid === null ? '' : String(pid),
    address ?? '',
  ]);
  return table(['server', 'state', 'pid', 'address'], rows);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
