import type { ReactNode, RefObject } from 'react';
import type { FleetAnswer, FleetService } from '../api/answers';
import type { DataPlace } from '../routing/data-link';
import { readSchemaName } from './federated-schema';

interface DataBarProps {
  readonly fleet: FleetAnswer;
  readonly place: DataPlace;
  readonly isUsageOpen: boolean;
  readonly usageButton: RefObject<HTMLButtonElement | null>;
  readonly onUsage: () => void;
}

/** Above Studio: where one is, which columns are not shown, and the way to the uses of an id. */
export function DataBar({ fleet, place, isUsageOpen, usageButton, onUsage }: DataBarProps): ReactNode {
  const { schema, table } = place;
  const service = schema === undefined ? undefined : readSchemaName(schema).service;
  const found = fleet.services.find((entry) => entry.service === service);
  return (
    <div className="data-bar">
      <p className="data-place">
        {found === undefined ? 'All services' : <strong>{found.service}</strong>}
        {table === undefined ? null : <span> / {table}</span>}
      </p>
      <p className="quiet data-hidden">{found === undefined ? null : hiddenText(found, table)}</p>
      <button type="button" ref={usageButton} aria-expanded={isUsageOpen} onClick={onUsage}>
        Where is this id used?
      </button>
    </div>
  );
}

/** What is not shown, of the table or, in the SQL view, of the whole database. */
function hiddenText({ hidden }: FleetService, table: string | undefined): string {
  if (hidden.length === 0) return '';
  if (table === undefined) return `The database hides ${hidden.length} columns: a SELECT that names none of them works`;
  const columns = hidden.filter((column) => column.table === table);
  const names = columns.map(({ column, kind }) => `${column} (${kind})`);
  return names.length === 0 ? '' : `Hidden by the database: ${names.join(', ')}`;
}
