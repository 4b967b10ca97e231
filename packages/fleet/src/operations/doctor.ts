import { withClient } from '@azora/db-migrate';
import { type Examined, examineDatabase } from '../postgres/doctor/examine';
import { DEFAULT_LIMITS, type Finding, type Level, type Limits } from '../postgres/doctor/finding';
import { doneRows, eachService, type RunOptions, type ServiceRow } from './fleet';
import type { Target } from './targets';

/** A finding with its place in the fleet. */
export interface FleetFinding extends Finding {
  /** Null when it is about the server and so about every service on it. */
  readonly service: string | null;
  readonly server: string;
}

/** One server, however many databases it holds. */
export interface ExaminedServer {
  /** Host and port, or whose companion it is. */
  readonly server: string;
  /** Null when none of its databases answered. */
  readonly version: string | null;
  readonly services: readonly string[];
}

export interface DoctorReport {
  readonly servers: readonly ExaminedServer[];
  /** Servers' findings first, then the services' in their order; of each the worst first. */
  readonly findings: readonly FleetFinding[];
  readonly rows: readonly ServiceRow<Examined>[];
}

export interface DoctorOptions extends RunOptions {
  readonly limits?: Partial<Limits>;
}

/** Looks at every database and server of the fleet and says what is wrong; changes nothing. */
export async function examineFleet(targets: readonly Target[], options: DoctorOptions): Promise<DoctorReport> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const rows = await eachService(targets, options, async (target) => {
    const { server, service } = target;
    const patient = { server, extensions: service.extensions, limits };
    const data = await withClient(target.admin, (client) => examineDatabase(client, patient));
    return { data, detail: '' };
  });
  const servers = new Map(targets.map((target) => [target.service.name, serverName(target)]));
  const examined = doneRows(rows).map(({ service, data }) => ({
    service,
    server: servers.get(service) ?? '',
    ...data,
  }));
  return {
    servers: listServers(examined),
    findings: [
      ...serverFindings(examined),
      ...examined.flatMap(({ service, server, findings }) =>
        worstFirst(findings).map((finding): FleetFinding => ({ service, server, ...finding })),
      ),
    ],
    rows,
  };
}

/** True when there is something to do about the fleet; notes alone do not count. */
export function isIll({ findings }: DoctorReport): boolean {
  return findings.some(({ level }) => level !== 'note');
}

function serverName({ server, service, admin }: Target): string {
  return server === 'companion' ? `companion of ${service.name}` : `${admin.host}:${admin.port}`;
}

type ExaminedService = Examined & { readonly service: string; readonly server: string };

function listServers(examined: readonly ExaminedService[]): readonly ExaminedServer[] {
  const names = [...new Set(examined.map(({ server }) => server))];
  return names.map((server) => {
    const there = examined.filter((it) => it.server === server);
    const version = there.find(({ serverVersion }) => serverVersion !== null)?.serverVersion ?? null;
    return { server, version, services: there.map(({ service }) => service) };
  });
}

/** Each once per server; numbers in the message may differ from one service's look to the next. */
function serverFindings(examined: readonly ExaminedService[]): readonly FleetFinding[] {
  const found = new Map<string, FleetFinding>();
  for (const { server, serverFindings: findings } of examined) {
    for (const finding of worstFirst(findings)) {
      const key = [server, finding.check, finding.object].join('\n');
      if (!found.has(key)) found.set(key, { service: null, server, ...finding });
    }
  }
  return [...found.values()];
}

const WORST_FIRST: readonly Level[] = ['error', 'warning', 'note'];

function worstFirst(findings: readonly Finding[]): readonly Finding[] {
  return WORST_FIRST.flatMap((level) => findings.filter((finding) => finding.level === level));
}
