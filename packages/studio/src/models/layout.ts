import Elk from 'elkjs/lib/elk.bundled.js';
import type { ElkExtendedEdge, ElkNode, ElkPort } from 'elkjs/lib/elk-api';
import type { Diagram, DiagramNode } from './diagram';

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The positions of all parts of a diagram. */
export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly boxes: ReadonlyMap<string, Box>;
  /** SVG paths by edge id. */
  readonly paths: ReadonlyMap<string, string>;
}

export const HEAD_HEIGHT = 26;
export const ROW_HEIGHT = 18;
const LETTER_WIDTH = 6.9;
const NARROWEST = 130;
const FEWEST_IN_LAYER = 3;

/** Bounds the boxes of a layer, so that a drawing in which many boxes refer to one is not a single tall column. */
function optionsFor(boxes: number): Record<string, string> {
  return {
    'elk.algorithm': 'layered',
    'elk.direction': 'RIGHT',
    'elk.aspectRatio': '1.7',
    'elk.layered.layering.strategy': 'COFFMAN_GRAHAM',
    'elk.layered.layering.coffmanGraham.layerBound': String(Math.max(FEWEST_IN_LAYER, Math.floor(Math.sqrt(boxes)))),
    'elk.layered.spacing.nodeNodeBetweenLayers': '50',
    'elk.spacing.nodeNode': '24',
    'elk.spacing.componentComponent': '30',
  };
}

/** Returns the size at which a box is drawn. */
export function boxSize({ title, rows }: DiagramNode): { readonly width: number; readonly height: number } {
  const letters = Math.max(title.length * 1.15, ...rows.map(({ name, note }) => name.length + note.length + 3));
  return {
    width: Math.max(NARROWEST, letters * LETTER_WIDTH + 20),
    height: HEAD_HEIGHT + rows.length * ROW_HEIGHT + 4,
  };
}

/** Arranges a diagram in layers along its arrows. */
export async function layOut(diagram: Diagram): Promise<Layout> {
  const graph: ElkNode = {
    id: 'root',
    layoutOptions: optionsFor(diagram.nodes.length),
    children: diagram.nodes.map((node) => elkNode(node, diagram)),
    edges: diagram.edges.map(({ id, from, fromRow, to, toRow }) => ({
      id,
      sources: [portId(from, fromRow, 'out')],
      targets: [toRow === undefined ? to : portId(to, toRow, 'in')],
    })),
  };
  const placed: ElkNode = await new Elk().layout(graph);
  return {
    width: placed.width ?? 0,
    height: placed.height ?? 0,
    boxes: new Map((placed.children ?? []).map((node) => [node.id, boxOf(node)])),
    paths: new Map((placed.edges ?? []).map((edge) => [edge.id, pathOf(edge)])),
  };
}

function portId(node: string, row: string, end: 'in' | 'out'): string {
  return `${end} ${node} ${row}`;
}

/** Arrows leave a row on its right, and arrive on the left of a row or at the box. */
function elkNode(node: DiagramNode, { edges }: Diagram): ElkNode {
  const size = boxSize(node);
  const ports = node.rows.flatMap(({ name }, index): ElkPort[] => {
    const place = { y: HEAD_HEIGHT + index * ROW_HEIGHT + ROW_HEIGHT / 2, width: 0, height: 0 };
    const leaves = edges.some(({ from, fromRow }) => from === node.id && fromRow === name);
    const arrives = edges.some(({ to, toRow }) => to === node.id && toRow === name);
    return [
      ...(leaves ? [{ id: portId(node.id, name, 'out'), ...place, x: size.width, layoutOptions: side('EAST') }] : []),
      ...(arrives ? [{ id: portId(node.id, name, 'in'), ...place, x: 0, layoutOptions: side('WEST') }] : []),
    ];
  });
  return { id: node.id, ...size, ports, layoutOptions: { 'elk.portConstraints': 'FIXED_POS' } };
}

function side(name: 'EAST' | 'WEST'): Record<string, string> {
  return { 'elk.port.side': name };
}

function boxOf({ x = 0, y = 0, width = 0, height = 0 }: ElkNode): Box {
  return { x, y, width, height };
}

function pathOf({ sections = [] }: ElkExtendedEdge): string {
  return sections
    .map(({ startPoint, bendPoints = [], endPoint }) =>
      [startPoint, ...bendPoints, endPoint].map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${x} ${y}`).join(''),
    )
    .join('');
}
