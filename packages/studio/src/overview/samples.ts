import { useEffect, useState } from 'react';
import type { FleetAnswer, OverviewAnswer, ServiceOverview } from '../api/answers';

/** The measurements of one moment that the charts show, by service. */
export interface Sample {
  readonly at: number;
  readonly services: ReadonlyMap<string, ServiceSample>;
}

export interface ServiceSample {
  readonly connections: number | null;
  readonly cacheHitRatio: number | null;
  readonly rows: number | null;
}

// One hour with a sample every five seconds.
const MAX_SAMPLES = 720;

/** Collects a sample of every overview since the page was opened, oldest first. */
export function useOverviewHistory(
  overview: OverviewAnswer | undefined,
  fleet: FleetAnswer | undefined,
): readonly Sample[] {
  const [samples, setSamples] = useState<readonly Sample[]>([]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: one sample for each overview, not for each fleet
  useEffect(() => {
    if (overview === undefined) return;
    setSamples((earlier) => [...earlier, sampleOf(overview, fleet)].slice(-MAX_SAMPLES));
  }, [overview]);
  return samples;
}

function sampleOf(overview: OverviewAnswer, fleet: FleetAnswer | undefined): Sample {
  const services = overview.services.map((service): [string, ServiceSample] => {
    const { connections, cacheHitRatio } = service;
    return [service.service, { connections, cacheHitRatio, rows: rowsOf(service, fleet) }];
  });
  return { at: Date.now(), services: new Map(services) };
}

function rowsOf(service: ServiceOverview, fleet: FleetAnswer | undefined): number | null {
  const known = fleet?.services.find((entry) => entry.service === service.service)?.rows;
  if (known !== undefined && known !== null) return known;
  return service.tables.length === 0 ? null : service.tables.reduce((sum, table) => sum + (table.rows ?? 0), 0);
}

/** A value at one moment; null when it is not known. */
export interface Point {
  readonly at: number;
  readonly value: number | null;
}

/** Returns one measurement of all samples, of the named service, or combined over all services when there is no name. */
export function pointsOf(
  samples: readonly Sample[],
  service: string | undefined,
  field: keyof ServiceSample,
  combine: (values: readonly number[]) => number,
): readonly Point[] {
  return samples.map(({ at, services }) => {
    const chosen = service === undefined ? [...services.values()] : [services.get(service)];
    const values = chosen.flatMap((sample) => sample?.[field] ?? []);
    return { at, value: values.length === 0 ? null : combine(values) };
  });
}

interface Scale {
  readonly low: number;
  readonly high: number;
  readonly from: number;
  readonly to: number;
}

export const CHART_WIDTH = 320;
export const CHART_HEIGHT = 80;

/** The ranges of the known values and of the moments. */
export function scaleOf(points: readonly Point[]): Scale {
  const values = points.flatMap(({ value }) => (value === null ? [] : [value]));
  const from = points[0]?.at ?? 0;
  const to = points.at(-1)?.at ?? 0;
  return { low: Math.min(...values), high: Math.max(...values), from, to: Math.max(to, from + 1) };
}

/** Returns the SVG path of a line, with a gap where a value is not known, and in the middle when all values are equal. */
export function linePath(points: readonly Point[]): string {
  const { low, high, from, to } = scaleOf(points);
  return points
    .map(({ at, value }, index) => {
      if (value === null) return '';
      const x = ((at - from) / (to - from)) * CHART_WIDTH;
      const y = high === low ? CHART_HEIGHT / 2 : CHART_HEIGHT - ((value - low) / (high - low)) * CHART_HEIGHT;
      const isStart = (points[index - 1]?.value ?? null) === null;
      return `${isStart ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`;
    })
    .join('');
}
