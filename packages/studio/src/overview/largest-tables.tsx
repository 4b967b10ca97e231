import { type ReactNode, useState } from 'react';
import type { OverviewAnswer, TableOverview } from '../api/answers';
import { dataLink } from '../routing/data-link';
import { Link } from '../routing/link';
import { bytes, count, percent } from '../shell/quantities';

const FEW = 10;

/** The tables of all services, the largest first. */
export function LargestTables({ overview }: { readonly overview: OverviewAnswer }): ReactNode {
  const [isLong, setLong] = useState(false);
  const tables = overview.services
    .flatMap(({ service, tables }) => tables.map((table) => ({ service, ...table })))
    .sort((left, right) => (right.bytes ?? 0) - (left.bytes ?? 0));
  if (tables.length === 0) return null;
  return (
    <section aria-labelledby="tables-title">
      <div className="section-head">
        <h2 id="tables-title">Largest tables</h2>
        <button type="button" aria-expanded={isLong} onClick={() => setLong(!isLong)}>
          {isLong ? `The largest ${FEW}` : `All ${tables.length}`}
        </button>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by the keyboard */}
      <section className="scroll" aria-labelledby="tables-title" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Service</th>
              <th scope="col">Table</th>
              {['Size', 'Rows', 'Dead rows', 'Read by index'].map((name) => (
                <th key={name} scope="col" className="number">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {tables.slice(0, isLong ? tables.length : FEW).map((table) => (
              <TableRow key={`${table.service}.${table.name}`} table={table} />
            ))}
          </tbody>
        </table>
      </section>
    </section>
  );
}

function TableRow({ table }: { readonly table: TableOverview & { readonly service: string } }): ReactNode {
  return (
    <tr>
      <td>{table.service}</td>
      <th scope="row">
        <Link to={dataLink({ service: table.service, table: table.name })}>{table.name}</Link>
      </th>
      <td className="number">{bytes(table.bytes)}</td>
      <td className="number">{count(table.rows)}</td>
      <td className="number">{count(table.deadRows)}</td>
      <td className="number">{percent(table.indexUse)}</td>
    </tr>
  );
}
