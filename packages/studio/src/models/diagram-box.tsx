import type { ReactNode } from 'react';
import type { DiagramNode } from './diagram';
import { type Box, HEAD_HEIGHT, ROW_HEIGHT } from './layout';

/** A model as a box: its name, then a line for each column. */
export function DiagramBox({ node, box }: { readonly node: DiagramNode; readonly box: Box }): ReactNode {
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
