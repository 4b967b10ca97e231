import type { ReactNode } from 'react';
import type { OverviewAnswer, SlowQuery } from '../api/answers';
import { count } from '../shell/quantities';

const SHOWN = 10;
// Letters that fit on a line of a wide window.
const LONG_QUERY = 90;

/** The slowest statements of all services, where pg_stat_statements counts them. */
export function SlowestQueries({ overview }: { readonly overview: OverviewAnswer }): ReactNode {
  const queries = overview.services
    .flatMap(({ service, slowest }) => (slowest ?? []).map((query) => ({ service, ...query })))
    .sort((left, right) => right.meanMs - left.meanMs)
    .slice(0, SHOWN);
  const isCounted = overview.services.some(({ slowest }) => slowest !== null);
  return (
    <section aria-labelledby="slowest-title">
      <h2 id="slowest-title">Slowest queries</h2>
      {isCounted ? null : <p className="quiet">No server of the fleet has pg_stat_statements, which counts them.</p>}
      {isCounted && queries.length === 0 ? <p className="quiet">None has run yet.</p> : null}
      {queries.length === 0 ? null : <QueriesTable queries={queries} />}
    </section>
  );
}

function QueryText({ query }: { readonly query: string }): ReactNode {
  if (query.length <= LONG_QUERY) return <code className="query">{query}</code>;
  return (
    <details>
      <summary>
        <code>{query.slice(0, LONG_QUERY).trimEnd()} …</code>
      </summary>
      <code className="query">{query}</code>
    </details>
  );
}

interface QueriesTableProps {
  readonly queries: readonly (SlowQuery & { readonly service: string })[];
}

function QueriesTable({ queries }: QueriesTableProps): ReactNode {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by the keyboard
    <section className="scroll" aria-labelledby="slowest-title" tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Service</th>
            <th scope="col" className="number">
              Mean
            </th>
            <th scope="col" className="number">
              Calls
            </th>
            <th scope="col">Query</th>
          </tr>
        </thead>
        <tbody>
          {queries.map(({ service, query, calls, meanMs }) => (
            <tr key={`${service} ${query}`}>
              <td>{service}</td>
              <td className="number">{meanMs.toFixed(1)} ms</td>
              <td className="number">{count(calls)}</td>
              <td>
                <QueryText query={query} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
