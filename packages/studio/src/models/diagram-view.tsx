import type { ReactNode } from 'react';
import type { Diagram } from './diagram';
import { DiagramBox } from './diagram-box';
import type { Layout } from './layout';
import { useView } from './use-view';

interface DiagramViewProps {
  readonly title: string;
  readonly diagram: Diagram;
  readonly layout: Layout;
}

/** A diagram that can be zoomed and moved. */
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
        aria-label={`${title}. Arrow keys move it, + and - zoom, 0 fits it. The same is below as a list.`}
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
