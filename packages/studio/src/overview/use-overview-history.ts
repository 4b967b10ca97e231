import { useEffect, useState } from 'react';
import type { FleetAnswer, OverviewAnswer, ServiceOverview } from '../api/answers';

/** What the charts show of one moment; by service, so that one of them can be looked at alone. */
export interface Sample {
  readonly at: number;
  readonly services: ReadonlyMap<string, ServiceSample>;
}

export interface ServiceSample {
  readonly connections: number | null;
  readonly cacheHitRatio: number | null;
  readonly rows: number | null;
}

// An hour at one sample in five seconds.
const MOST_SAMPLES = 720;

function rowsOf(service: ServiceOverview, fleet: FleetAnswer | undefined): number | null {
  const known = fleet?.services.find((entry) => entry.service === service.service)?.rows;
  if (known !== undefined && known !== null) return known;
  return service.tables.length === 0 ? null : service.tables.reduce((sum, table) => sum + (table.rows ?? 0), 0);
}

function sampleOf(overview: OverviewAnswer, fleet: FleetAnswer | undefined): Sample {
  const services = overview.services.map((service): [string, ServiceSample] => {
    const { connections, cacheHitRatio } = service;
    return [service.service, { connections, cacheHitRatio, rows: rowsOf(service, fleet) }];
  });
  return { at: Date.now(), services: new Map(services) };
}

/** Every overview since the page was opened, oldest first. */
export function useOverviewHistory(
  overview: OverviewAnswer | undefined,
  fleet: FleetAnswer | undefined,
): readonly Sample[] {
  const [samples, setSamples] = useState<readonly Sample[]>([]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: one sample for each overview, not for each fleet
  useEffect(() => {
    if (overview === undefined) return;
    setSamples((earlier) => [...earlier, sampleOf(overview, fleet)].slice(-MOST_SAMPLES));
  }, [overview]);
  return samples;
}
