import {
  type KeyboardEvent,
  type PointerEvent,
  type RefObject,
  useCallback,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
} from 'react';
import type { Box } from './layout';
import { firstView, type Move, moveOfKey, moveView, wholeView } from './view';

interface ViewControl {
  readonly view: Box;
  readonly move: (move: Move) => void;
  readonly fit: () => void;
  readonly drawing: RefObject<SVGSVGElement | null>;
  readonly handlers: {
    readonly onKeyDown: (event: KeyboardEvent) => void;
    readonly onPointerDown: (event: PointerEvent<SVGSVGElement>) => void;
    readonly onPointerMove: (event: PointerEvent<SVGSVGElement>) => void;
    readonly onPointerUp: () => void;
  };
}

const WHEEL_PIXELS_PER_DOUBLING = 400;

/** Zoom and pan of a drawing by wheel, pointer and keyboard. */
export function useView(width: number, height: number): ViewControl {
  const [view, setView] = useState<Box>({ x: 0, y: 0, width, height });
  const drawing = useRef<SVGSVGElement>(null);
  const seen = useCallback(() => drawing.current?.getBoundingClientRect() ?? { width, height }, [width, height]);
  const whole = useCallback(() => wholeView({ width, height }, seen()), [width, height, seen]);
  const move = useCallback((step: Move) => setView((before) => moveView(before, step, whole())), [whole]);
  const fit = useCallback(() => setView(whole()), [whole]);
  useLayoutEffect(() => setView(firstView({ width, height }, seen())), [width, height, seen]);
  useWheel(drawing, move);
  return { view, move, fit, drawing, handlers: { ...useDrag(move), onKeyDown: onKeyDown(move, fit) } };
}

function onKeyDown(move: (move: Move) => void, fit: () => void): (event: KeyboardEvent) => void {
  return (event) => {
    const step = moveOfKey(event.key);
    if (event.ctrlKey || event.metaKey || (step === undefined && event.key !== '0')) return;
    event.preventDefault();
    if (step === undefined) fit();
    else move(step);
  };
}

function useWheel(drawing: RefObject<SVGSVGElement | null>, move: (move: Move) => void): void {
  useEffect(() => {
    const element = drawing.current;
    const onWheel = (event: WheelEvent): void => {
      if (element === null) return;
      event.preventDefault();
      const { left, top, width, height } = element.getBoundingClientRect();
      const factor = 2 ** (-event.deltaY / WHEEL_PIXELS_PER_DOUBLING);
      move({ kind: 'zoom', factor, atX: (event.clientX - left) / width, atY: (event.clientY - top) / height });
    };
    // React listens to the wheel passively, where the page would scroll as well.
    element?.addEventListener('wheel', onWheel, { passive: false });
    return () => element?.removeEventListener('wheel', onWheel);
  }, [drawing, move]);
}

function useDrag(move: (move: Move) => void): Omit<ViewControl['handlers'], 'onKeyDown'> {
  const last = useRef<{ readonly x: number; readonly y: number }>(undefined);
  return {
    onPointerDown: (event) => {
      last.current = { x: event.clientX, y: event.clientY };
      event.currentTarget.setPointerCapture(event.pointerId);
    },
    onPointerMove: (event) => {
      if (last.current === undefined) return;
      const { width, height } = event.currentTarget.getBoundingClientRect();
      const shareX = (last.current.x - event.clientX) / width;
      const shareY = (last.current.y - event.clientY) / height;
      last.current = { x: event.clientX, y: event.clientY };
      move({ kind: 'pan', shareX, shareY });
    },
    onPointerUp: () => {
      last.current = undefined;
    },
  };
}
