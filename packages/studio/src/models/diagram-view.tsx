import {
  type KeyboardEvent,
  type PointerEvent,
  type ReactNode,
  type RefObject,
  useCallback,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
} from 'react';
import { dataLink } from '../routing/data-link';
import { Link } from '../routing/navigation';
import type { Diagram, DiagramNode } from './diagram';
import { type Box, HEAD_HEIGHT, type Layout, ROW_HEIGHT } from './layout';
import { firstView, type Move, moveOfKey, moveView, wholeView } from './view';

interface DiagramViewProps {
  readonly title: string;
  readonly diagram: Diagram;
  readonly layout: Layout;
}

/** A diagram that the user can zoom and pan. */
export function DiagramView({ title, diagram, layout }: DiagramViewProps): ReactNode {
  const { view, move, fit, drawing, handlers } = useView(layout.width, layout.height);
  return (
    <div className="diagram">
      <div className="diagram-tools">
        <button type="button" aria-label="Zoom in" onClick={() => move({ kind: 'zoom', factor: 1.25 })}>
          +
        </button>
        <button type="button" aria-label="Zoom out" onClick={() => move({ kind: 'zoom', factor: 0.8 })}>
          −
        </button>
        <button type="button" onClick={fit}>
          Fit
        </button>
      </div>
      <svg
        ref={drawing}
        className="diagram-drawing"
        viewBox={`${view.x} ${view.y} ${view.width} ${view.height}`}
        role="application"
        aria-label={`${title}. Pan with the arrow keys, zoom with + and -, fit with 0. A text version follows.`}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: an application takes keys
        tabIndex={0}
        {...handlers}
      >
        <Arrowhead />
        {diagram.edges.map(({ id, label }) => (
          <path key={id} className="edge" d={layout.paths.get(id)} markerEnd="url(#arrowhead)">
            <title>{label}</title>
          </path>
        ))}
        {diagram.nodes.map((node) => {
          const box = layout.boxes.get(node.id);
          return box === undefined ? null : <DiagramBox key={node.id} node={node} box={box} />;
        })}
      </svg>
    </div>
  );
}

function Arrowhead(): ReactNode {
  return (
    <defs>
      <marker id="arrowhead" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">
        <path className="edge-head" d="M0 0L8 4L0 8z" />
      </marker>
    </defs>
  );
}

/** A box: a title, and a line for each column. */
function DiagramBox({ node, box }: { readonly node: DiagramNode; readonly box: Box }): ReactNode {
  return (
    <g transform={`translate(${box.x} ${box.y})`}>
      <rect className="box" width={box.width} height={box.height} rx={4} />
      <path className="box-line" d={`M0 ${HEAD_HEIGHT}H${box.width}`} />
      <text className="box-title" x={10} y={18}>
        {node.title}
      </text>
      {node.rows.map(({ name, note, isId, isHidden }, index) => {
        const y = HEAD_HEIGHT + index * ROW_HEIGHT + 14;
        return (
          <g key={name} className={isHidden ? 'box-hidden' : undefined}>
            <text className={isId ? 'box-column box-id' : 'box-column'} x={10} y={y}>
              {name}
            </text>
            <text className="box-type" x={box.width - 10} y={y}>
              {note}
            </text>
          </g>
        );
      })}
    </g>
  );
}

/** The text version of a diagram, with links to the tables. */
export function DiagramText({ diagram }: { readonly diagram: Diagram }): ReactNode {
  return (
    <details className="diagram-list">
      <summary>
        Text version: {counted(diagram.nodes.length, 'box', 'boxes')},{' '}
        {counted(diagram.edges.length, 'arrow', 'arrows')}
      </summary>
      <ul>
        {diagram.nodes.map(({ id, service, title, table, rows }) => (
          <li key={id}>
            <Link to={dataLink(table === undefined ? { service } : { service, table })}>{title}</Link>{' '}
            <span className="quiet">{rows.map(({ name }) => name).join(', ')}</span>
          </li>
        ))}
      </ul>
      <ul>
        {diagram.edges.map(({ id, label }) => (
          <li key={id}>{label}</li>
        ))}
      </ul>
    </details>
  );
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}

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

/** Zooms and pans a drawing by wheel, pointer and keyboard. */
function useView(width: number, height: number): ViewControl {
  const [view, setView] = useState<Box>({ x: 0, y: 0, width, height });
  const drawing = useRef<SVGSVGElement>(null);
  const windowSize = useCallback(() => drawing.current?.getBoundingClientRect() ?? { width, height }, [width, height]);
  const whole = useCallback(() => wholeView({ width, height }, windowSize()), [width, height, windowSize]);
  const move = useCallback((step: Move) => setView((before) => moveView(before, step, whole())), [whole]);
  const fit = useCallback(() => setView(whole()), [whole]);
  useLayoutEffect(() => setView(firstView({ width, height }, windowSize())), [width, height, windowSize]);
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

const WHEEL_PIXELS_PER_DOUBLING = 400;

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
    // React's wheel listeners are passive: preventDefault would have no effect, and the page would scroll too.
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
      const byX = (last.current.x - event.clientX) / width;
      const byY = (last.current.y - event.clientY) / height;
      last.current = { x: event.clientX, y: event.clientY };
      move({ kind: 'pan', byX, byY });
    },
    onPointerUp: () => {
      last.current = undefined;
    },
  };
}
