import { type ReactNode, type RefObject, useCallback, useEffect, useRef, useState } from 'react';
import type { ApiErrorBody, FleetAnswer, ReferencesAnswer, ReferringColumn } from '../api/answers';
import { asFailure, getAnswer } from '../api/requests';
import { type DataPlace, dataLink } from '../routing/data-link';
import { Link } from '../routing/navigation';
import { formatRows } from '../shell/format';
import { Failure, Loading } from '../shell/states';
import { readSchemaName } from './federated-schema';

/** A value of one column. */
interface ReferenceSearch {
  readonly service: string;
  readonly table: string;
  readonly column: string;
  readonly value: string;
}

interface FindReferencesProps {
  readonly fleet: FleetAnswer;
  readonly place: DataPlace;
  readonly onClose: () => void;
}

/** Finds the rows of all databases that refer to the id of a row. */
export function FindReferences({ fleet, place, onClose }: FindReferencesProps): ReactNode {
  const [search, setSearch] = useState(() => suggested(place));
  const { outcome, find } = useReferenceSearch();
  const suggestion = JSON.stringify(suggested(place));
  useEffect(() => {
    const next = JSON.parse(suggestion) as ReferenceSearch;
    // Following a result keeps the search; an address with another value replaces it.
    setSearch((before) => (before.value !== '' && ['', before.value].includes(next.value) ? before : next));
  }, [suggestion]);
  return (
    <aside className="references" aria-labelledby="references-title">
      <div className="section-head">
        <h2 id="references-title">Find references</h2>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
      <SearchForm
        services={fleet.services.map(({ service }) => service)}
        search={search}
        onChange={setSearch}
        onSubmit={() => void find({ ...search, value: search.value.trim() })}
      />
      {outcome?.kind === 'searching' ? <Loading what="references" /> : null}
      {outcome?.kind === 'failed' ? <Failure body={outcome.body} /> : null}
      {outcome?.kind === 'found' ? <Results search={outcome.search} answer={outcome.answer} /> : null}
    </aside>
  );
}

/** The table in the address and the value that it is filtered by. */
function suggested({ schema, table, equals }: DataPlace): ReferenceSearch {
  return {
    service: schema === undefined ? '' : readSchemaName(schema).service,
    table: table ?? '',
    column: equals?.column ?? 'id',
    value: equals?.value ?? '',
  };
}

type Outcome =
  | { readonly kind: 'searching' }
  | { readonly kind: 'failed'; readonly body: ApiErrorBody }
  | { readonly kind: 'found'; readonly search: ReferenceSearch; readonly answer: ReferencesAnswer };

/** Searches on the server. A new search replaces one that is still running. */
function useReferenceSearch(): {
  readonly outcome: Outcome | undefined;
  readonly find: (search: ReferenceSearch) => Promise<void>;
} {
  const [outcome, setOutcome] = useState<Outcome>();
  const running = useRef<AbortController>(undefined);
  useEffect(() => () => running.current?.abort(), []);
  const find = useCallback(async (search: ReferenceSearch) => {
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    setOutcome({ kind: 'searching' });
    const found = await outcomeOf(search, controller.signal);
    if (!controller.signal.aborted) setOutcome(found);
  }, []);
  return { outcome, find };
}

async function outcomeOf(search: ReferenceSearch, signal: AbortSignal): Promise<Outcome> {
  const { service, ...column } = search;
  const path = `/api/services/${encodeURIComponent(service)}/references?${new URLSearchParams(column)}`;
  try {
    return { kind: 'found', search, answer: await getAnswer<ReferencesAnswer>(path, signal) };
  } catch (error) {
    return { kind: 'failed', body: asFailure(error).body };
  }
}

interface SearchFormProps {
  readonly services: readonly string[];
  readonly search: ReferenceSearch;
  readonly onChange: (search: ReferenceSearch) => void;
  readonly onSubmit: () => void;
}

/** The column and the value to search for. The value has the focus when the form opens. */
function SearchForm({ services, search, onChange, onSubmit }: SearchFormProps): ReactNode {
  const value = useRef<HTMLInputElement>(null);
  useEffect(() => {
    value.current?.focus();
  }, []);
  const set = (field: keyof ReferenceSearch) => (text: string) => onChange({ ...search, [field]: text });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        onSubmit();
      }}
    >
      <label>
        Service
        <select value={search.service} onChange={(event) => set('service')(event.target.value)} required>
          <option value="">Choose a service</option>
          {services.map((service) => (
            <option key={service}>{service}</option>
          ))}
        </select>
      </label>
      <TextField label="Table" text={search.table} onChange={set('table')} />
      <TextField label="Column" text={search.column} onChange={set('column')} />
      <TextField label="Value" text={search.value} onChange={set('value')} input={value} />
      <button type="submit" className="primary">
        Search all databases
      </button>
    </form>
  );
}

interface TextFieldProps {
  readonly label: string;
  readonly text: string;
  readonly onChange: (text: string) => void;
  readonly input?: RefObject<HTMLInputElement | null>;
}

function TextField({ label, text, onChange, input }: TextFieldProps): ReactNode {
  return (
    <label>
      {label}
      <input
        ref={input}
        value={text}
        onChange={(event) => onChange(event.target.value)}
        required
        spellCheck={false}
        autoComplete="off"
      />
    </label>
  );
}

interface ResultsProps {
  readonly search: ReferenceSearch;
  readonly answer: ReferencesAnswer;
}

/** The columns that hold the value, each as a link to its rows. */
function Results({ search: { value }, answer: { references, errors = [] } }: ResultsProps): ReactNode {
  const found = references.length === 1 ? '1 column contains' : `${references.length} columns contain`;
  return (
    <>
      <p role="status">
        {references.length === 0 ? 'No column contains' : found} <code>{value}</code>.
      </p>
      {errors.length === 0 ? null : (
        <p className="tone-warn">
          Not searched: {errors.map(({ service, message }) => `${service} (${message})`).join(', ')}
        </p>
      )}
      <ul className="reference-list">
        {references.map((reference) => (
          <li key={`${reference.service}.${reference.table}.${reference.column}`}>
            <ReferenceLink reference={reference} value={value} />
          </li>
        ))}
      </ul>
    </>
  );
}

interface ReferenceLinkProps {
  readonly reference: ReferringColumn;
  readonly value: string;
}

function ReferenceLink({ reference, value }: ReferenceLinkProps): ReactNode {
  const { service, table, column, rows } = reference;
  return (
    <Link to={dataLink({ service, table, equals: { column, value } })}>
      <span>
        <strong>{service}</strong> {table}.{column}
      </span>
      <span className="quiet">{countText(rows)}</span>
    </Link>
  );
}

// The server stops counting at one more.
const MAX_COUNTED = 1000;

function countText(rows: number): string {
  return rows > MAX_COUNTED ? `more than ${formatRows(MAX_COUNTED)}` : formatRows(rows);
}
