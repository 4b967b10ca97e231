import { type ReactNode, useState } from 'react';
import type {
  FleetAnswer,
  FleetService,
  OverviewAnswer,
  ServiceOverview,
  SlowQuery,
  TableOverview,
} from '../api/answers';
import { dataLink } from '../routing/data-link';
import { Link } from '../routing/navigation';
import { formatBytes, formatCount, formatDuration, formatPercent } from '../shell/format';
import { numberColumn, ScrollingTable, textColumn } from '../shell/scrolling-table';
import { conditionOf } from '../shell/sidebar';

const SERVICE_COLUMNS = [
  ...['Service', 'State'].map(textColumn),
  ...['Size', 'Rows', 'Connections', 'Cache hit ratio', 'Dead rows'].map(numberColumn),
  ...['Oldest transaction', 'Replication lag', 'Backup age'].map(numberColumn),
];

interface ServicesTableProps {
  readonly overview: OverviewAnswer;
  readonly fleet: FleetAnswer | undefined;
}

/** One line for each service. */
export function ServicesTable({ overview, fleet }: ServicesTableProps): ReactNode {
  return (
    <section aria-labelledby="services-title">
      <h2 id="services-title">Services</h2>
      <ScrollingTable labelledBy="services-title" columns={SERVICE_COLUMNS}>
        {overview.services.map((service) => (
          <ServiceRow
            key={service.service}
            overview={service}
            service={fleet?.services.find((entry) => entry.service === service.service)}
          />
        ))}
      </ScrollingTable>
    </section>
  );
}

interface ServiceRowProps {
  readonly overview: ServiceOverview;
  readonly service: FleetService | undefined;
}

function ServiceRow({ overview, service }: ServiceRowProps): ReactNode {
  const condition = service === undefined ? undefined : conditionOf(service);
  return (
    <tr>
      <th scope="row">
        <Link to={dataLink({ service: overview.service })}>{overview.service}</Link>
      </th>
      <td className={condition === undefined ? undefined : `tone-${condition.tone}`}>{condition?.words.join(', ')}</td>
      {overview.error === null ? (
        <>
          <td className="number">{formatBytes(service?.sizeBytes)}</td>
          <td className="number">{formatCount(service?.rows)}</td>
          <td className="number">{connectionsOf(overview)}</td>
          <td className="number">{formatPercent(overview.cacheHitRatio)}</td>
          <td className="number">{formatCount(deadRowsOf(overview))}</td>
          <td className="number">{formatDuration(overview.oldestTransactionSeconds)}</td>
          <td className="number">{formatBytes(overview.replicationLagBytes)}</td>
          <td className="number">{formatDuration(overview.backupAgeSeconds)}</td>
        </>
      ) : (
        <td colSpan={SERVICE_COLUMNS.length - 2} className="tone-bad">
          {overview.error.message} <code>{overview.error.code}</code>
        </td>
      )}
    </tr>
  );
}

/** Null when no table of the database counts its dead rows. */
function deadRowsOf({ tables }: ServiceOverview): number | null {
  const known = tables.flatMap(({ deadRows }) => deadRows ?? []);
  return known.length === 0 && tables.length > 0 ? null : known.reduce((sum, rows) => sum + rows, 0);
}

function connectionsOf({ connections, connectionLimit }: ServiceOverview): string {
  const hasLimit = connections !== null && connectionLimit !== null && connectionLimit >= 0;
  return hasLimit ? `${formatCount(connections)} of ${formatCount(connectionLimit)}` : formatCount(connections);
}

const TABLE_COLUMNS = [
  ...['Service', 'Table'].map(textColumn),
  ...['Size', 'Rows', 'Dead rows', 'Index scans'].map(numberColumn),
];
const FEW_TABLES = 10;

/** The tables of all services, largest first. */
export function LargestTables({ overview }: { readonly overview: OverviewAnswer }): ReactNode {
  const [showsAll, setShowsAll] = useState(false);
  const tables = overview.services
    .flatMap(({ service, tables }) => tables.map((table) => ({ service, ...table })))
    .sort((left, right) => (right.bytes ?? 0) - (left.bytes ?? 0));
  if (tables.length === 0) return null;
  return (
    <section aria-labelledby="tables-title">
      <div className="section-head">
        <h2 id="tables-title">Largest tables</h2>
        {tables.length > FEW_TABLES ? (
          <button type="button" aria-expanded={showsAll} onClick={() => setShowsAll(!showsAll)}>
            {showsAll ? `Show the largest ${FEW_TABLES}` : `Show all ${tables.length}`}
          </button>
        ) : null}
      </div>
      <ScrollingTable labelledBy="tables-title" columns={TABLE_COLUMNS}>
        {tables.slice(0, showsAll ? tables.length : FEW_TABLES).map((table) => (
          <TableRow key={`${table.service}.${table.name}`} table={table} />
        ))}
      </ScrollingTable>
    </section>
  );
}

function TableRow({ table }: { readonly table: TableOverview & { readonly service: string } }): ReactNode {
  return (
    <tr>
      <td>{table.service}</td>
      <th scope="row">
        <Link to={dataLink({ service: table.service, table: table.name })}>{table.name}</Link>
      </th>
      <td className="number">{formatBytes(table.bytes)}</td>
      <td className="number">{formatCount(table.rows)}</td>
      <td className="number">{formatCount(table.deadRows)}</td>
      <td className="number">{formatPercent(table.indexUse)}</td>
    </tr>
  );
}

const QUERY_COLUMNS = [textColumn('Service'), numberColumn('Mean time'), numberColumn('Calls'), textColumn('Query')];
const MAX_QUERIES = 10;
// Characters that fit on one line of a wide window.
const LONG_QUERY = 90;

/** The slowest statements of all services, from pg_stat_statements. */
export function SlowestQueries({ overview }: { readonly overview: OverviewAnswer }): ReactNode {
  const queries = overview.services
    .flatMap(({ service, slowest }) => (slowest ?? []).map((query) => ({ service, ...query })))
    .sort((left, right) => right.meanMs - left.meanMs)
    .slice(0, MAX_QUERIES);
  const isRecorded = overview.services.some(({ slowest }) => slowest !== null);
  return (
    <section aria-labelledby="slowest-title">
      <h2 id="slowest-title">Slowest queries</h2>
      {isRecorded ? null : <p className="quiet">Install pg_stat_statements on a server to see its slowest queries.</p>}
      {isRecorded && queries.length === 0 ? <p className="quiet">No queries recorded yet.</p> : null}
      {queries.length === 0 ? null : (
        <ScrollingTable labelledBy="slowest-title" columns={QUERY_COLUMNS}>
          {queries.map((query) => (
            <QueryRow key={`${query.service} ${query.query}`} query={query} />
          ))}
        </ScrollingTable>
      )}
    </section>
  );
}

function QueryRow({ query }: { readonly query: SlowQuery & { readonly service: string } }): ReactNode {
  return (
    <tr>
      <td>{query.service}</td>
      <td className="number">{query.meanMs.toFixed(1)} ms</td>
      <td className="number">{formatCount(query.calls)}</td>
      <td>
        <QueryText query={query.query} />
      </td>
    </tr>
  );
}

function QueryText({ query }: { readonly query: string }): ReactNode {
  if (query.length <= LONG_QUERY) return <code className="query">{query}</code>;
  return (
    <details>
      <summary>
        <code>{query.slice(0, LONG_QUERY).trimEnd()}…</code>
      </summary>
      <code className="query">{query}</code>
    </details>
  );
}
