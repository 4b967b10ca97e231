/** @server none */
import { retryDelayMs } from '../src/api/requests';
import { firstView, moveView, wholeView } from '../src/models/view';
import { linePath } from '../src/overview/samples';

describe('the view of a diagram', () => {
  const window = { width: 1000, height: 500 };

  it('shows the whole drawing with the proportions of the window', () => {
    const view = wholeView({ width: 960, height: 160 }, window);

    expect(view).toEqual({ x: -20, y: -170, width: 1000, height: 500 });
  });

  it('starts at a readable scale when the whole drawing would be too small', () => {
    const { width, height } = firstView({ width: 9000, height: 4000 }, window);

    expect([width, height].map(Math.round)).toEqual([1667, 833]);
  });

  it('keeps the point under the pointer in place when zooming', () => {
    const view = { x: 100, y: 100, width: 400, height: 200 };

    const closer = moveView(view, { kind: 'zoom', factor: 2, atX: 0.25, atY: 1 }, view);

    expect(closer).toEqual({ x: 150, y: 200, width: 200, height: 100 });
  });
});

describe('the line of a chart', () => {
  it('has a gap where a value is missing', () => {
    const path = linePath([0, null, 10, 5].map((value, index) => ({ at: index, value })));

    expect(path).toBe('M0.0 80.0M213.3 0.0L320.0 40.0');
  });

  it('runs through the middle when all values are equal', () => {
    const path = linePath([7, 7].map((value, index) => ({ at: index, value })));

    expect(path).toBe('M0.0 40.0L320.0 40.0');
  });
});

describe('the delay between retries', () => {
  it('doubles after each failure, up to 15 seconds', () => {
    expect([1, 2, 3, 4, 5, 50].map(retryDelayMs)).toEqual([1000, 2000, 4000, 8000, 15_000, 15_000]);
  });
});
