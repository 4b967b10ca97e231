import { readGrants, withLimitedClient } from '@azora/db-migrate';
import { DEFAULT_LIMITS, type Finding, type Level, type Limits } from '../../postgres/doctor/check';
import { type Examined, examineDatabase } from '../../postgres/doctor/examine';
import type { Environment } from '../../system/child-environment';
import { type EventFinding, examineEvents } from '../events/findings';
import { findEvents } from '../events/state';
import { doneRows, eachService, type RunOptions, type ServiceRow } from '../fleet';
import type { Target } from '../targets';

/** A finding with its service and server. */
export interface FleetFinding extends Finding {
  /** Null for a finding about the server, and so about every service on it. */
  readonly service: string | null;
  readonly server: string;
}

/** One server with any number of databases. */
export interface ExaminedServer {
  /** Host and port, or the service of a companion. */
  readonly server: string;
  /** Null when none of the databases answered. */
  readonly version: string | null;
  readonly services: readonly string[];
}

export interface DoctorReport {
  readonly servers: readonly ExaminedServer[];
  /** The findings about servers, then those about services in their order; within each, the worst first. */
  readonly findings: readonly FleetFinding[];
  readonly rows: readonly ServiceRow<Examined>[];
}

export interface DoctorOptions extends RunOptions {
  /** Says whether a broker carries the events. Without it, the log in nexus does. */
  readonly environment?: Environment;
  readonly limits?: Partial<Limits>;
}

/** Examines every database and server of the fleet, and the events between them; changes nothing. */
export async function examineFleet(targets: readonly Target[], options: DoctorOptions): Promise<DoctorReport> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const rows = await eachService(targets, options, async (target) => {
    const { server, service, role } = target;
    const grants = await readGrants(service.schemaPath);
    const context = { server, extensions: service.extensions, role, grants, limits };
    const data = await withLimitedClient(target.admin, (client) => examineDatabase(client, context));
    return { data, detail: '' };
  });
  const place = { fleet: targets, environment: options.environment ?? {} };
  const services = targets.map(({ service }) => service.name);
  const events = examineEvents(await findEvents(place, { signal: options.signal }), services);
  const servers = new Map(targets.map((target) => [target.service.name, serverName(target)]));
  const examined = doneRows(rows).map(({ service, data }) => ({
    service,
    server: servers.get(service) ?? '',
    ...data,
    findings: [...data.findings, ...events.filter((it) => it.service === service).map(withoutService)],
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

/** Whether a finding is an error or a warning; notes alone need no action. */
export function needsAction({ findings }: DoctorReport): boolean {
  return findings.some(({ level }) => level !== 'note');
}

function serverName({ server, service, admin }: Target): string {
  return server === 'companion' ? `companion of ${service.name}` : `${admin.host}:${admin.port}`;
}

function withoutService({ service, ...finding }: EventFinding): Finding {
  return finding;
}

type ExaminedService = Examined & { readonly service: string; readonly server: string };

function listServers(examined: readonly ExaminedService[]): readonly ExaminedServer[] {
  const names = [...new Set(examined.map(({ server }) => server))];
  return names.map((server) => {
    const onServer = examined.filter((it) => it.server === server);
    const version = onServer.find(({ serverVersion }) => serverVersion !== null)?.serverVersion ?? null;
    return { server, version, services: onServer.map(({ service }) => service) };
  });
}

/** Each finding once per server; numbers in its message may differ between the services. */
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
