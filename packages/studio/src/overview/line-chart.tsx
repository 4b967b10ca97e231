import type { ReactNode } from 'react';
import { duration } from '../shell/quantities';
import { HEIGHT, linePath, type Point, scaleOf, WIDTH } from './line-path';

interface LineChartProps {
  readonly title: string;
  readonly points: readonly Point[];
  readonly show: (value: number | null) => string;
}

/** A line over the time the page is open. */
export function LineChart({ title, points, show }: LineChartProps): ReactNode {
  const known = points.filter(({ value }) => value !== null);
  const { low, high, from, to } = scaleOf(points);
  const last = known.at(-1)?.value ?? null;
  const summary =
    known.length === 0 ? `${title}: nothing yet` : `${title}: now ${show(last)}, ${show(low)} to ${show(high)}`;
  return (
    <figure className="chart">
      <figcaption>
        <span>{title}</span> <strong>{show(last)}</strong>
      </figcaption>
      <svg viewBox={`-2 -4 ${WIDTH + 4} ${HEIGHT + 8}`} preserveAspectRatio="none" role="img" aria-label={summary}>
        <path className="chart-base" d={`M0 ${HEIGHT}H${WIDTH}`} />
        {known.length > 1 ? <path className="chart-line" d={linePath(points)} /> : null}
      </svg>
      <p className="chart-scale">
        {known.length > 1 ? (
          <>
            <span>{duration((to - from) / 1000)} ago</span>
            <span>{low === high ? `steady at ${show(low)}` : `${show(low)} to ${show(high)}`}</span>
            <span>now</span>
          </>
        ) : (
          <span>Waiting for a second reading</span>
        )}
      </p>
    </figure>
  );
}
