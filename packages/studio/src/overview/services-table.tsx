import type { ReactNode } from 'react';
import type { FleetAnswer, FleetService, OverviewAnswer, ServiceOverview } from '../api/answers';
import { dataLink } from '../routing/data-link';
import { Link } from '../routing/link';
import { bytes, count, duration, percent } from '../shell/quantities';
import { conditionOf } from '../shell/service-link';

const COLUMNS = [
  'State',
  'Size',
  'Rows',
  'Connections',
  'Cache hits',
  'Dead rows',
  'Oldest transaction',
  'Replication lag',
  'Backup age',
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
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by the keyboard */}
      <section className="scroll" aria-labelledby="services-title" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Service</th>
              {COLUMNS.map((name) => (
                <th key={name} scope="col" className={name === 'State' ? undefined : 'number'}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {overview.services.map((service) => (
              <ServiceRow
                key={service.service}
                overview={service}
                service={fleet?.services.find((entry) => entry.service === service.service)}
              />
            ))}
          </tbody>
        </table>
      </section>
    </section>
  );
}

function connectionsOf({ connections, connectionLimit }: ServiceOverview): string {
  const limit = connectionLimit === null || connectionLimit < 0 ? '' : ` of ${count(connectionLimit)}`;
  return connections === null ? '-' : `${count(connections)}${limit}`;
}

interface ServiceRowProps {
  readonly overview: ServiceOverview;
  readonly service: FleetService | undefined;
}

function ServiceRow({ overview, service }: ServiceRowProps): ReactNode {
  const condition = service === undefined ? undefined : conditionOf(service);
  const dead = overview.tables.reduce((sum, table) => sum + (table.deadRows ?? 0), 0);
  return (
    <tr>
      <th scope="row">
        <Link to={dataLink({ service: overview.service })}>{overview.service}</Link>
      </th>
      <td className={condition === undefined ? undefined : `tone-${condition.tone}`}>{condition?.words.join(', ')}</td>
      {overview.error === null ? (
        <>
          <td className="number">{bytes(service?.sizeBytes)}</td>
          <td className="number">{count(service?.rows)}</td>
          <td className="number">{connectionsOf(overview)}</td>
          <td className="number">{percent(overview.cacheHitRatio)}</td>
          <td className="number">{count(dead)}</td>
          <td className="number">{duration(overview.oldestTransactionSeconds)}</td>
          <td className="number">{bytes(overview.replicationLagBytes)}</td>
          <td className="number">{duration(overview.backupAgeSeconds)}</td>
        </>
      ) : (
        <td colSpan={COLUMNS.length - 1} className="tone-bad">
          {overview.error.message} <code>{overview.error.code}</code>
        </td>
      )}
    </tr>
  );
}
