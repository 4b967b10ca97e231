import type { Box } from './layout';

/** How a diagram can be moved: by which share of what is seen, or closer and farther. */
export type Move =
  | { readonly kind: 'zoom'; readonly factor: number; readonly atX?: number; readonly atY?: number }
  | { readonly kind: 'pan'; readonly shareX: number; readonly shareY: number };

const CLOSEST_WIDTH = 120;
const MARGIN = 20;

// Below this many pixels for a unit of the drawing a first view of all of it says nothing.
const SMALLEST_SCALE = 0.3;
const READABLE_SCALE = 0.6;

interface Size {
  readonly width: number;
  readonly height: number;
}

/** The part of the drawing that is seen when all of it fits, in the form of the window that it is seen in. */
export function wholeView(drawing: Size, seen: Size): Box {
  const scale = Math.min(seen.width / (drawing.width + 2 * MARGIN), seen.height / (drawing.height + 2 * MARGIN));
  return centred(drawing, seen, scale);
}

/** What is seen first: all of it, or its middle where all would be too small to read. */
export function firstView(drawing: Size, seen: Size): Box {
  const whole = wholeView(drawing, seen);
  return seen.width / whole.width < SMALLEST_SCALE ? centred(drawing, seen, READABLE_SCALE) : whole;
}

function centred(drawing: Size, seen: Size, scale: number): Box {
  const width = seen.width / scale;
  const height = seen.height / scale;
  return { x: (drawing.width - width) / 2, y: (drawing.height - height) / 2, width, height };
}

/** What is seen after a move; a zoom keeps the point under the pointer, given as shares of the view, where it is. */
export function moveView(view: Box, move: Move, whole: Box): Box {
  if (move.kind === 'pan') {
    return { ...view, x: view.x + move.shareX * view.width, y: view.y + move.shareY * view.height };
  }
  const { atX = 0.5, atY = 0.5 } = move;
  const width = Math.min(Math.max(view.width / move.factor, CLOSEST_WIDTH), whole.width * 2);
  const height = (view.height * width) / view.width;
  return { x: view.x + (view.width - width) * atX, y: view.y + (view.height - height) * atY, width, height };
}

const STEP = 0.15;
const CLOSER = 1.25;

const KEYS: Readonly<Record<string, Move>> = {
  '+': { kind: 'zoom', factor: CLOSER },
  '=': { kind: 'zoom', factor: CLOSER },
  '-': { kind: 'zoom', factor: 1 / CLOSER },
  ArrowLeft: { kind: 'pan', shareX: -STEP, shareY: 0 },
  ArrowRight: { kind: 'pan', shareX: STEP, shareY: 0 },
  ArrowUp: { kind: 'pan', shareX: 0, shareY: -STEP },
  ArrowDown: { kind: 'pan', shareX: 0, shareY: STEP },
};

/** What a key does: arrows move, + and - zoom. */
export function moveOfKey(key: string): Move | undefined {
  return KEYS[key];
}
