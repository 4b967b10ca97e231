import type { Model, ModelColumnPath, ModelsAnswer, ServiceModels } from '../api/answers';

/** A box of a diagram: a model with its columns, or a service with the ends of its references. */
export interface DiagramNode {
  readonly id: string;
  readonly title: string;
  readonly service: string;
  /** Of a model: its table. */
  readonly table?: string;
  readonly rows: readonly DiagramRow[];
}

export interface DiagramRow {
  readonly name: string;
  /** The type of a column, or the target of a reference. */
  readonly note: string;
  readonly isId: boolean;
  readonly isHidden: boolean;
}

/** An arrow from a row of one box to another box or one of its rows. */
export interface DiagramEdge {
  readonly id: string;
  readonly from: string;
  readonly fromRow: string;
  readonly to: string;
  readonly toRow?: string;
  readonly label: string;
}

export interface Diagram {
  readonly nodes: readonly DiagramNode[];
  readonly edges: readonly DiagramEdge[];
}

/** Draws the models of one service and the foreign keys between them. */
export function serviceDiagram({ service, models }: ServiceModels): Diagram {
  const edges = models.flatMap((model) =>
    model.relations.flatMap(({ to, columns }) => {
      const fromRow = columns[0];
      if (fromRow === undefined || !models.some(({ name }) => name === to)) return [];
      return [{ from: model.name, fromRow, to, label: `${model.name}.${columns.join(', ')} belongs to ${to}` }];
    }),
  );
  return {
    nodes: models.map((model) => modelNode(service, model)),
    edges: edges.map((edge, index) => ({ ...edge, id: `e${index}` })),
  };
}

function modelNode(service: string, { name, table, columns }: Model): DiagramNode {
  const rows = columns.map(({ type, ...column }) => ({ ...column, note: column.isHidden ? 'hidden' : type }));
  return { id: name, title: name, service, table, rows };
}

/** Draws the references between services: each service is a box of its referring and referenced columns. */
export function referencesDiagram({ services, references }: ModelsAnswer): Diagram {
  const nodes = services.map(({ service }): DiagramNode => {
    const targets = new Set(references.filter(({ to }) => to.service === service).map(({ to }) => rowName(to)));
    const referenced = [...targets].map((name) => ({ name, note: 'referenced', isId: true, isHidden: false }));
    const referring = references
      .filter(({ from }) => from.service === service)
      .map(({ from, to }) => ({
        name: rowName(from),
        note: `${to.service}.${to.model}`,
        isId: false,
        isHidden: false,
      }));
    return { id: service, title: service, service, rows: [...referenced, ...referring] };
  });
  const edges = references.map(({ from, to }, index) => ({
    id: `e${index}`,
    from: from.service,
    fromRow: rowName(from),
    to: to.service,
    toRow: rowName(to),
    label: `${from.service}.${rowName(from)} refers to ${to.service}.${rowName(to)}`,
  }));
  return { nodes: nodes.filter(({ rows }) => rows.length > 0), edges };
}

function rowName({ model, column }: ModelColumnPath): string {
  return `${model}.${column}`;
}
