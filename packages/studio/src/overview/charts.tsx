import { type ReactNode, useState } from 'react';
import { formatCount, formatDuration, formatPercent } from '../shell/format';
import { CHART_HEIGHT, CHART_WIDTH, linePath, type Point, pointsOf, type Sample, scaleOf } from './samples';

const ALL = '';

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}

/** Connections, cache hit ratio and rows since the page was opened. */
export function Charts({ samples }: { readonly samples: readonly Sample[] }): ReactNode {
  const [chosen, setChosen] = useState(ALL);
  const names = [...(samples.at(-1)?.services.keys() ?? [])];
  const service = chosen === ALL ? undefined : chosen;
  return (
    <section aria-labelledby="charts-title">
      <div className="section-head">
        <h2 id="charts-title">Since you opened this page</h2>
        <label>
          Show{' '}
          <select value={chosen} onChange={(event) => setChosen(event.target.value)}>
            <option value={ALL}>all services</option>
            {names.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
      </div>
      <div className="charts">
        <LineChart title="Connections" points={pointsOf(samples, service, 'connections', sum)} format={formatCount} />
        <LineChart
          title="Cache hit ratio"
          points={pointsOf(samples, service, 'cacheHitRatio', mean)}
          format={formatPercent}
        />
        <LineChart title="Rows" points={pointsOf(samples, service, 'rows', sum)} format={formatCount} />
      </div>
    </section>
  );
}

interface LineChartProps {
  readonly title: string;
  readonly points: readonly Point[];
  readonly format: (value: number | null) => string;
}

function LineChart({ title, points, format }: LineChartProps): ReactNode {
  const known = points.filter(({ value }) => value !== null);
  const { low, high, from, to } = scaleOf(points);
  const last = known.at(-1)?.value ?? null;
  const summary =
    known.length === 0
      ? `${title}: no data yet`
      : `${title}: now ${format(last)}, between ${format(low)} and ${format(high)}`;
  return (
    <figure className="chart">
      <figcaption>
        <span>{title}</span> <strong>{format(last)}</strong>
      </figcaption>
      <svg
        viewBox={`-2 -4 ${CHART_WIDTH + 4} ${CHART_HEIGHT + 8}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={summary}
      >
        <path className="chart-base" d={`M0 ${CHART_HEIGHT}H${CHART_WIDTH}`} />
        {known.length > 1 ? <path className="chart-line" d={linePath(points)} /> : null}
      </svg>
      <p className="chart-scale">
        {known.length > 1 ? (
          <>
            <span>{formatDuration((to - from) / 1000)} ago</span>
            <span>{low === high ? `steady at ${format(low)}` : `${format(low)} to ${format(high)}`}</span>
            <span>now</span>
          </>
        ) : (
          <span>Waiting for more data</span>
        )}
      </p>
    </figure>
  );
}
