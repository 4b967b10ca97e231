import type { ReactNode } from 'react';
import { dataLink } from '../routing/data-link';
import { Link } from '../routing/link';
import type { Diagram } from './diagram';

/** The diagram in words, for who cannot see it, with links to the tables. */
export function DiagramList({ diagram }: { readonly diagram: Diagram }): ReactNode {
  return (
    <details className="diagram-list">
      <summary>
        As a list: {diagram.nodes.length} boxes, {diagram.edges.length} arrows
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
