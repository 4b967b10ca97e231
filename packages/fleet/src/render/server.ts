import type { ServerState } from '../operations/server';
import { table } from './table';

export function serversText(servers: readonly ServerState[]): string {
  const rows = servers.map(({ name, state, pid, address }) => [
    name,
    state,
    pid === null ? '' : String(pid),
    address ?? '',
  ]);
  return table(['server', 'state', 'pid', 'address'], rows);
}
