import type { Box } from './layout';

/** A step of the view: pan by a fraction of its size, or zoom around a point given as fractions of its size. */
export type Move =
  | { readonly kind: 'zoom'; readonly factor: number; readonly atX?: number; readonly atY?: number }
  | { readonly kind: 'pan'; readonly byX: number; readonly byY: number };

interface Size {
  readonly width: number;
  readonly height: number;
}

const CLOSEST_WIDTH = 120;
const MARGIN = 20;

// In pixels per unit of the drawing. Below the smallest scale, text cannot be read.
const SMALLEST_SCALE = 0.3;
const READABLE_SCALE = 0.6;

/** Returns the view that fits the whole drawing, with the proportions of the window. */
export function wholeView(drawing: Size, window: Size): Box {
  const scale = Math.min(window.width / (drawing.width + 2 * MARGIN), window.height / (drawing.height + 2 * MARGIN));
  return centered(drawing, window, scale);
}

/** Returns the initial view: the whole drawing, or its center where the whole would be too small to read. */
export function firstView(drawing: Size, window: Size): Box {
  const whole = wholeView(drawing, window);
  return window.width / whole.width < SMALLEST_SCALE ? centered(drawing, window, READABLE_SCALE) : whole;
}

function centered(drawing: Size, window: Size, scale: number): Box {
  const width = window.width / scale;
  const height = window.height / scale;
  return { x: (drawing.width - width) / 2, y: (drawing.height - height) / 2, width, height };
}

/** Returns the view after a move. A zoom keeps its point where it is. */
export function moveView(view: Box, move: Move, whole: Box): Box {
  if (move.kind === 'pan') {
    return { ...view, x: view.x + move.byX * view.width, y: view.y + move.byY * view.height };
  }
  const { atX = 0.5, atY = 0.5 } = move;
  const width = Math.min(Math.max(view.width / move.factor, CLOSEST_WIDTH), whole.width * 2);
  const height = (view.height * width) / view.width;
  return { x: view.x + (view.width - width) * atX, y: view.y + (view.height - height) * atY, width, height };
}

const KEY_STEP = 0.15;
const KEY_ZOOM = 1.25;

const MOVES_BY_KEY: Readonly<Record<string, Move>> = {
  '+': { kind: 'zoom', factor: KEY_ZOOM },
  '=': { kind: 'zoom', factor: KEY_ZOOM },
  '-': { kind: 'zoom', factor: 1 / KEY_ZOOM },
  ArrowLeft: { kind: 'pan', byX: -KEY_STEP, byY: 0 },
  ArrowRight: { kind: 'pan', byX: KEY_STEP, byY: 0 },
  ArrowUp: { kind: 'pan', byX: 0, byY: -KEY_STEP },
  ArrowDown: { kind: 'pan', byX: 0, byY: KEY_STEP },
};

/** Returns the move of a key: arrows pan, + and - zoom. */
export function moveOfKey(key: string): Move | undefined {
  return MOVES_BY_KEY[key];
}
