import { Studio, type StudioProps } from '@prisma/studio-core/ui';
import { type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from 'react';
import type { FleetAnswer, FleetService } from '../api/answers';
import { hasSqlFilter, readDataPlace } from '../routing/data-link';
import { useHash } from '../routing/navigation';
import type { Unread } from './federated-adapter';
import { readSchemaName } from './federated-schema';
import { FindReferences } from './find-references';
import { placeProblem } from './place-problem';
import { closeNavigationWhereNarrow, installValueInput, setReadOnly } from './studio-settings';
import { useFederation } from './use-federation';
import { connectValueInputs } from './value-input';

closeNavigationWhereNarrow();
installValueInput();

/** Prisma's Studio on all databases at once, with errors, hidden columns and the search for references around it. */
export function DataPage({ fleet, gone }: { readonly fleet: FleetAnswer; readonly gone: boolean }): ReactNode {
  const hash = useHash();
  const place = readDataPlace(hash);
  const { adapter, generation, unread, known, about, isCut, isStale, reload } = useFederation(fleet, gone);
  const { isHeld, release } = useHeldLink();
  const problem = placeProblem(place, fleet.services, unread, known);
  const { error, onEvent, onFailure, dismiss } = useStudioErrors(hash);
  useEffect(() => connectValueInputs(adapter.checkValue, onFailure), [adapter, onFailure]);
  // The page renders every few seconds, and Studio would close the editor of a cell each time.
  const studio = useMemo(
    () => <Studio key={generation} adapter={adapter} onEvent={onEvent} />,
    [generation, adapter, onEvent],
  );
  const [isSearching, setSearching] = useState(false);
  const searchButton = useRef<HTMLButtonElement>(null);
  const closeSearch = (): void => {
    setSearching(false);
    searchButton.current?.focus();
  };
  const { schema, table } = place;
  const service = schema === undefined ? undefined : readSchemaName(schema).service;
  setReadOnly(!fleet.write);
  return (
    <div className="data">
      <h1 className="unseen">Data</h1>
      <div className="data-bar">
        <Place service={fleet.services.find((entry) => entry.service === service)} table={table} about={about} />
        <button
          type="button"
          ref={searchButton}
          aria-expanded={isSearching}
          onClick={() => setSearching((isOpen) => !isOpen)}
        >
          Find references
        </button>
      </div>
      <Banners error={error} unread={unread} isCut={isCut} isStale={isStale} onReload={reload} onDismiss={dismiss} />
      <div className="data-body">
        <div className="data-studio">
          {isHeld ? <HeldLink onRun={release} /> : problem === undefined ? studio : <NoRows why={problem} />}
        </div>
        {isSearching ? <FindReferences fleet={fleet} place={place} onClose={closeSearch} /> : null}
      </div>
    </div>
  );
}

/** Holds back an address with SQL that the page did not write itself, until somebody has read the warning. */
function useHeldLink(): { readonly isHeld: boolean; readonly release: () => void } {
  const [isHeld, setHeld] = useState(() => hasSqlFilter(location.hash));
  useEffect(() => {
    // Studio writes its own filters without this event.
    const check = (): void => setHeld(hasSqlFilter(location.hash));
    window.addEventListener('hashchange', check);
    return () => window.removeEventListener('hashchange', check);
  }, []);
  const release = useCallback(() => setHeld(false), []);
  return { isHeld, release };
}

function HeldLink({ onRun }: { readonly onRun: () => void }): ReactNode {
  return (
    <section role="alert" className="banner banner-warn">
      <span>This link contains a filter written in SQL, which has not run. Run it only if you trust who sent it.</span>
      <button type="button" onClick={onRun}>
        Run the filter
      </button>
    </section>
  );
}

function NoRows({ why }: { readonly why: string }): ReactNode {
  return (
    <p role="alert" className="banner banner-bad">
      {why}
    </p>
  );
}

interface PlaceProps {
  readonly service: FleetService | undefined;
  readonly table: string | undefined;
  readonly about: number | undefined;
}

/** The service and the table that Studio shows, and their hidden columns. */
function Place({ service, table, about }: PlaceProps): ReactNode {
  return (
    <>
      <p className="data-place">
        {service === undefined ? 'All services' : <strong>{service.service}</strong>}
        {table === undefined ? null : <span> / {table}</span>}
        {table === undefined || about === undefined ? null : (
          <span className="quiet"> of about {about.toLocaleString('en')} rows</span>
        )}
      </p>
      <p className="quiet data-hidden">{service === undefined ? null : hiddenText(service, table)}</p>
    </>
  );
}

/** The hidden columns of the table or, in the SQL view, of the whole database. */
function hiddenText({ hidden }: FleetService, table: string | undefined): string {
  if (hidden.length === 0) return '';
  if (table === undefined)
    return `${hidden.length} hidden columns. SELECT * includes them and fails: list the columns to read`;
  const columns = hidden.filter((column) => column.table === table);
  const names = columns.map(({ column, kind }) => `${column} (${kind})`);
  return names.length === 0 ? '' : `Hidden columns: ${names.join(', ')}`;
}

interface BannersProps {
  readonly error: string | undefined;
  readonly unread: readonly Unread[];
  readonly isCut: boolean;
  readonly isStale: boolean;
  readonly onReload: () => void;
  readonly onDismiss: () => void;
}

/** Conditions that Studio itself shows as an empty table, or not at all. */
function Banners({ error, unread, isCut, isStale, onReload, onDismiss }: BannersProps): ReactNode {
  return (
    <>
      {error === undefined ? null : (
        <div role="alert" className="banner banner-bad">
          <span>The request failed: {error}</span>
          <button type="button" onClick={onDismiss}>
            Dismiss
          </button>
        </div>
      )}
      {unread.length === 0 ? null : (
        <div role="alert" className="banner banner-warn">
          <span>{unreadText(unread)}</span>
          <button type="button" onClick={onReload}>
            Try again
          </button>
        </div>
      )}
      {isCut ? (
        <div role="status" className="banner banner-warn">
          The result is incomplete: the studio reads at most 1,000 rows. Use LIMIT and OFFSET to read the others.
        </div>
      ) : null}
      {isStale ? (
        <div role="status" className="banner banner-warn">
          <span>A database is available again. Reloading discards unsaved edits.</span>
          <button type="button" onClick={onReload}>
            Reload
          </button>
        </div>
      ) : null}
    </>
  );
}

function unreadText(unread: readonly Unread[]): string {
  const names = unread.map(({ service }) => service).join(', ');
  return `These services could not be read: ${names}. ${unread[0]?.error.message ?? ''}`;
}

type OnEvent = NonNullable<StudioProps['onEvent']>;

interface StudioErrors {
  /** Why the last request failed, until the address changes. */
  readonly error: string | undefined;
  readonly onEvent: OnEvent;
  /** Reports a failure that Studio has no event for. */
  readonly onFailure: (message: string) => void;
  readonly dismiss: () => void;
}

/** Collects the errors that Studio itself shows as an empty table. */
function useStudioErrors(hash: string): StudioErrors {
  const [failed, setFailed] = useState<{ readonly message: string; readonly hash: string }>();
  const dismiss = useCallback(() => setFailed(undefined), []);
  const onFailure = useCallback((message: string) => setFailed({ message, hash: location.hash }), []);
  const onEvent = useCallback<OnEvent>(
    (event) => {
      if (event.name === 'studio_launched') return;
      if (event.name === 'studio_operation_success') setFailed(undefined);
      else if (needsBanner(event.payload)) onFailure(event.payload.error.message);
    },
    [onFailure],
  );
  return { error: failed?.hash === hash ? failed.message : undefined, onEvent, onFailure, dismiss };
}

// The SQL view shows its own errors, and one banner lists all databases that could not be introspected.
const SHOWN_ELSEWHERE = ['introspect', 'raw-query'];

function needsBanner({ operation, error }: { readonly operation: string; readonly error: Error }): boolean {
  return error.name !== 'AbortError' && !SHOWN_ELSEWHERE.includes(operation);
}
