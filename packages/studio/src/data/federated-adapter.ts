import {
  type Adapter,
  type AdapterIntrospectResult,
  createSqlEditorSchemaFromIntrospection,
  type Table,
} from '@prisma/studio-core/data';
import type { FleetAnswer } from '../api/answers';
import { federate, readSchemaName } from './federated-schema';
import { introspectAll, type Unread } from './introspect-all';
import { createServiceAdapter } from './service-adapter';
import { createStudioFetch } from './studio-fetch';

type FederatedFleet = Pick<FleetAnswer, 'services' | 'links'>;

/** What the adapter tells of besides its answers. */
export interface FederationReport {
  /** Which services could not be read; told after each introspection. */
  readonly onUnread: (unread: readonly Unread[]) => void;
  /** Whether an answer holds only the first rows, because there were too many; told after each request. */
  readonly onCut: (isCut: boolean) => void;
}

interface Federation extends FederationReport {
  readonly fleet: FederatedFleet;
  readonly adapters: ReadonlyMap<string, Adapter>;
}

/** One adapter for the whole fleet: Studio sees every service as a schema, so that references between them are links. */
export function createFederatedAdapter(fleet: FederatedFleet, report: FederationReport): Adapter {
  const fetch = createStudioFetch(report.onCut);
  const adapters = new Map(
    fleet.services.map(({ service, write }) => [service, createServiceAdapter(service, { write, fetch })] as const),
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
  };
}

function adapterOf({ adapters }: Federation, service: string): Adapter {
  const adapter = adapters.get(service);
  if (adapter === undefined) throw new Error(`There is no service ${service}`);
  return adapter;
}

/** The adapter of the service that a table belongs to, and the details as that adapter knows the table. */
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
    if (result === undefined) return [unread[0]?.error ?? new Error('There is no service')];
    const { services, links } = federation.fleet;
    last = { ...result, schemas: federate(parts, services, links) };
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
      const missing = new Error('Several rows cannot be saved at once');
      return adapter.updateMany?.({ ...routed, updates }, options) ?? [missing];
    },
    delete: (details, options) => {
      const [adapter, routed] = route(federation, details);
      return adapter.delete(routed, options);
    },
  };
}

// A filter is checked as  select * from "auth"."users" where ...  and names its schema in the statement only.
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
