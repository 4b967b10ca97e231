/** A value of one moment; null where it is not known. */
export interface Point {
  readonly at: number;
  readonly value: number | null;
}

interface Scale {
  readonly low: number;
  readonly high: number;
  readonly from: number;
  readonly to: number;
}

export const WIDTH = 320;
export const HEIGHT = 80;

/** From the lowest to the highest value, from the first to the last moment. */
export function scaleOf(points: readonly Point[]): Scale {
  const values = points.flatMap(({ value }) => (value === null ? [] : [value]));
  const from = points[0]?.at ?? 0;
  const to = points.at(-1)?.at ?? 0;
  return { low: Math.min(...values), high: Math.max(...values), from, to: Math.max(to, from + 1) };
}

/** The path of a line: a gap where a value is not known, flat in the middle where all are alike. */
export function linePath(points: readonly Point[]): string {
  const { low, high, from, to } = scaleOf(points);
  return points
    .map(({ at, value }, index) => {
      if (value === null) return '';
      const x = ((at - from) / (to - from)) * WIDTH;
      const y = high === low ? HEIGHT / 2 : HEIGHT - ((value - low) / (high - low)) * HEIGHT;
      const isStart = (points[index - 1]?.value ?? null) === null;
      return `${isStart ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`;
    })
    .join('');
}
