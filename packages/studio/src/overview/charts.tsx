import { type ReactNode, useState } from 'react';
import { count, percent } from '../shell/quantities';
import { LineChart } from './line-chart';
import type { Point } from './line-path';
import type { Sample, ServiceSample } from './use-overview-history';

const ALL = '';

type Combine = (values: readonly number[]) => number;
const sum: Combine = (values) => values.reduce((total, value) => total + value, 0);
const mean: Combine = (values) => sum(values) / values.length;

/** One number of every sample, of one service or of all of them together. */
export function pointsOf(
  samples: readonly Sample[],
  service: string,
  field: keyof ServiceSample,
  combine: Combine,
): readonly Point[] {
  return samples.map(({ at, services }) => {
    const chosen = service === ALL ? [...services.values()] : [services.get(service)];
    const values = chosen.flatMap((sample) => sample?.[field] ?? []);
    return { at, value: values.length === 0 ? null : combine(values) };
  });
}

/** Connections, cache hits and rows over the time the page is open. */
export function Charts({ samples }: { readonly samples: readonly Sample[] }): ReactNode {
  const [service, setService] = useState(ALL);
  const names = [...(samples.at(-1)?.services.keys() ?? [])];
  return (
    <section aria-labelledby="charts-title">
      <div className="section-head">
        <h2 id="charts-title">Since this page was opened</h2>
        <label>
          Of{' '}
          <select value={service} onChange={(event) => setService(event.target.value)}>
            <option value={ALL}>all services</option>
            {names.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
      </div>
      <div className="charts">
        <LineChart title="Connections" points={pointsOf(samples, service, 'connections', sum)} show={count} />
        <LineChart title="Cache hits" points={pointsOf(samples, service, 'cacheHitRatio', mean)} show={percent} />
        <LineChart title="Rows" points={pointsOf(samples, service, 'rows', sum)} show={count} />
      </div>
    </section>
  );
}
