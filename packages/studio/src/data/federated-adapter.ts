import {
  type Adapter,
  type AdapterError,
  type AdapterIntrospectOptions,
  type AdapterIntrospectResult,
  createSqlEditorSchemaFromIntrospection,
  type Either,
  type Table,
} from '@prisma/studio-core/data';
import type { FleetAnswer } from '../api/answers';
import { federate, type Introspected, readSchemaName } from './federated-schema';
import type { KnownTables } from './place-problem';
import { createServiceAdapter, createStudioFetch, type ServiceAdapter } from './service-adapter';

type FederatedFleet = Pick<FleetAnswer, 'services' | 'links'>;

/** What the adapter reports besides its answers. */
export interface FederationReport {
  /** After each introspection: the services that could not be read. */
  readonly onUnread: (unread: readonly Unread[]) => void;
  /** After each introspection: the tables of each schema. */
  readonly onKnown: (known: KnownTables) => void;
  /** After each page of rows: the number of all rows, if it is an estimate. */
  readonly onCounted: (about: number | undefined) => void;
  /** After each request: whether the answer left out rows. */
  readonly onCut: (isCut: boolean) => void;
}

interface Federation extends FederationReport {
  readonly fleet: FederatedFleet;
  readonly adapters: ReadonlyMap<string, ServiceAdapter>;
}

/** Creates one adapter for the whole fleet. Studio sees every service as a schema, and follows references as foreign keys. */
export function createFederatedAdapter(fleet: FederatedFleet, report: FederationReport): ServiceAdapter {
  const fetch = createStudioFetch(report.onCut);
  const adapters = new Map(
    fleet.services.map(
      ({ service, write, filled }) =>
        [service, createServiceAdapter(service, { write, filled, fetch, onCounted: report.onCounted })] as const,
    ),
  );
  const federation: Federation = { fleet, adapters, ...report };
  const first = fleet.services.find(({ reachable }) => reachable) ?? fleet.services[0];
  const defaultSchema = first?.service ?? 'none';
  return {
    defaultSchema,
    capabilities: adapters.get(defaultSchema)?.capabilities ?? {},
    ...introspectionOf(federation, defaultSchema),
    ...rowsOf(federation),
    ...statementsOf(federation, defaultSchema),
    checkValue: (column, text) => {
      const { service, schema } = readSchemaName(column.schema);
      return adapterOf(federation, service).checkValue({ ...column, schema }, text);
    },
  };
}

function adapterOf({ adapters }: Federation, service: string): ServiceAdapter {
  const adapter = adapters.get(service);
  if (adapter === undefined) throw new Error(`Unknown service: ${service}`);
  return adapter;
}

/** Returns the adapter of a table's service, and the details with the table's own schema name. */
function route<Details extends { table: Table }>(federation: Federation, details: Details): [Adapter, Details] {
  const { service, schema } = readSchemaName(details.table.schema);
  return [adapterOf(federation, service), { ...details, table: { ...details.table, schema } }];
}

function introspectionOf(federation: Federation, defaultSchema: string): Pick<Adapter, 'introspect' | 'sqlSchema'> {
  let last: AdapterIntrospectResult | undefined;
  const introspect: Adapter['introspect'] = async (options) => {
    const { parts, unread } = await introspectAll(federation.adapters, options);
    federation.onUnread(unread);
    const result = parts[0]?.result;
    if (result === undefined) return [unread[0]?.error ?? new Error('The fleet has no services')];
    const { services, links } = federation.fleet;
    last = { ...result, schemas: federate(parts, services, links) };
    federation.onKnown(new Map(Object.values(last.schemas).map(({ name, tables }) => [name, Object.keys(tables)])));
    return [null, last];
  };
  return {
    introspect,
    sqlSchema: async (_details, options) => {
      const [error, introspection] = last === undefined ? await introspect(options) : [null, last];
      if (error !== null) return [error];
      return [null, createSqlEditorSchemaFromIntrospection({ defaultSchema, dialect: 'postgresql', introspection })];
    },
  };
}

/** A service whose database could not be introspected. */
export interface Unread {
  readonly service: string;
  readonly error: AdapterError;
}

// A database that hangs must not keep the page from showing the others.
const INTROSPECT_TIMEOUT_MS = 10_000;

/** Introspects every database and separates those that fail or do not answer in time. */
async function introspectAll(
  adapters: ReadonlyMap<string, Adapter>,
  options: AdapterIntrospectOptions,
): Promise<{ readonly parts: readonly Introspected[]; readonly unread: readonly Unread[] }> {
  const outcomes = await Promise.all(
    [...adapters].map(async ([service, adapter]) => ({
      service,
      outcome: await Promise.race([adapter.introspect(options), timeOut(service)]),
    })),
  );
  const parts: Introspected[] = [];
  const unread: Unread[] = [];
  for (const { service, outcome } of outcomes) {
    const [error, result] = outcome;
    if (error === null) parts.push({ service, result });
    else unread.push({ service, error });
  }
  return { parts, unread };
}

function timeOut(service: string): Promise<Either<AdapterError, AdapterIntrospectResult>> {
  const seconds = INTROSPECT_TIMEOUT_MS / 1000;
  return new Promise((resolve) => {
    window.setTimeout(
      () => resolve([new Error(`${service} did not answer within ${seconds} seconds`)]),
      INTROSPECT_TIMEOUT_MS,
    );
  });
}

type RowFunctions = Required<Pick<Adapter, 'query' | 'insert' | 'update' | 'updateMany' | 'delete'>>;

function rowsOf(federation: Federation): RowFunctions {
  return {
    query: (details, options) => {
      const [adapter, routed] = route(federation, details);
      return adapter.query(routed, options);
    },
    insert: (details, options) => {
      const [adapter, routed] = route(federation, details);
      return adapter.insert(routed, options);
    },
    update: (details, options) => {
      const [adapter, routed] = route(federation, details);
      return adapter.update(routed, options);
    },
    updateMany: async (details, options) => {
      const [adapter, routed] = route(federation, details);
      const updates = details.updates.map((update) => route(federation, update)[1]);
      const missing = new Error('The adapter cannot save several rows at once');
      return adapter.updateMany?.({ ...routed, updates }, options) ?? [missing];
    },
    delete: (details, options) => {
      const [adapter, routed] = route(federation, details);
      return adapter.delete(routed, options);
    },
  };
}

// Studio checks a filter as  select * from "auth"."users" where ...  and passes no schema besides.
const FILTER_CHECK = /^select \* from "((?:[^"]|"")+)"\./;

function statementsOf(federation: Federation, defaultSchema: string): Required<Pick<Adapter, 'raw' | 'sqlLint'>> {
  return {
    raw: (details, options) => {
      const { service, schema } = readSchemaName(details.schema ?? defaultSchema);
      return adapterOf(federation, service).raw({ ...details, schema }, options);
    },
    sqlLint: async (details, options) => {
      const named = details.schema === undefined ? FILTER_CHECK.exec(details.sql)?.[1] : undefined;
      const { service, schema } = readSchemaName(details.schema ?? named ?? defaultSchema);
      const sql = named === undefined ? details.sql : details.sql.replace(`"${named}".`, `"${schema}".`);
      const nothing = { diagnostics: [] };
      return adapterOf(federation, service).sqlLint?.({ ...details, schema, sql }, options) ?? [null, nothing];
    },
  };
}
