import type { ReactNode } from 'react';
import type { Usage } from '../api/answers';
import { dataLink } from '../routing/data-link';
import { Link } from '../routing/link';
import { rows } from '../shell/quantities';
import { Failure } from '../shell/states';
import type { UsageOutcome } from './use-usage';

// The server counts no further.
const MOST_COUNTED = 1000;

function counted(found: number): string {
  return found > MOST_COUNTED ? `more than ${rows(MOST_COUNTED)}` : rows(found);
}

/** The places where a value is used, each a link to its rows. */
export function UsageResults({ outcome }: { readonly outcome: UsageOutcome | undefined }): ReactNode {
  if (outcome?.kind === 'failed') return <Failure body={outcome.body} />;
  if (outcome?.kind !== 'found') return null;
  const uses = outcome.answer.uses.filter((use) => use.rows > 0);
  const { value } = outcome.question;
  const found = uses.length === 1 ? '1 column holds' : `${uses.length} columns hold`;
  const errors = outcome.answer.errors ?? [];
  return (
    <>
      <p role="status">
        {uses.length === 0 ? 'No row of any database holds' : found} <code>{value}</code>
      </p>
      {errors.length === 0 ? null : (
        <p className="tone-warn">
          Not asked: {errors.map(({ service, message }) => `${service} (${message})`).join(', ')}
        </p>
      )}
      <ul className="uses">
        {uses.map((use) => (
          <li key={`${use.service}.${use.table}.${use.column}`}>
            <UseLink use={use} value={value} />
          </li>
        ))}
      </ul>
    </>
  );
}

function UseLink({ use, value }: { readonly use: Usage; readonly value: string }): ReactNode {
  const { service, table, column } = use;
  return (
    <Link to={dataLink({ service, table, equals: { column, value } })}>
      <span>
        <strong>{service}</strong> {table}.{column}
      </span>
      <span className="quiet">{counted(use.rows)}</span>
    </Link>
  );
}
