import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import type { FleetAnswer } from '../api/answers';
import { createFederatedAdapter, type Unread } from './federated-adapter';
import type { KnownTables } from './place-problem';
import type { ServiceAdapter } from './service-adapter';

interface FederationState {
  readonly adapter: ServiceAdapter;
  /** Changes with the adapter: Studio caches rows by table name, so a new adapter needs a new Studio. */
  readonly generation: number;
  readonly unread: readonly Unread[];
  /** The tables of each schema, after the first introspection. */
  readonly known: KnownTables | undefined;
  /** The number of rows of the table on the screen, if it is an estimate. */
  readonly about: number | undefined;
  /** Whether the last answer left out rows. */
  readonly isCut: boolean;
  /** Whether a database is back that Studio does not show yet. In write mode the user reloads, because edits would be lost. */
  readonly isStale: boolean;
  readonly reload: () => void;
}

/** Returns the adapter of the fleet: a new one when services or columns change, or when a database or the server is back. */
export function useFederation(fleet: FleetAnswer, gone: boolean): FederationState {
  const [generation, setGeneration] = useState(0);
  const [unread, setUnread] = useState<readonly Unread[]>([]);
  const [known, setKnown] = useState<KnownTables>();
  const [about, setAbout] = useState<number>();
  const [isCut, setCut] = useState(false);
  const [isStale, setStale] = useState(false);
  const { write } = fleet;
  const shape = JSON.stringify({
    write,
    services: fleet.services.map(({ service, write: writes, hidden }) => ({ service, writes, hidden })),
    links: fleet.links,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: the fleet is a new object every few seconds, mostly of the same shape
  const adapter = useMemo(
    () => createFederatedAdapter(fleet, { onUnread: setUnread, onKnown: setKnown, onCounted: setAbout, onCut: setCut }),
    [shape, generation],
  );
  const reload = useCallback(() => {
    setStale(false);
    setGeneration((count) => count + 1);
  }, []);
  const onReturn = useCallback(() => (write ? setStale(true) : reload()), [write, reload]);
  useReturn(fleet, gone, onReturn);
  return { adapter, generation, unread, known, about, isCut, isStale, reload };
}

function useReturn(fleet: FleetAnswer, gone: boolean, onReturn: () => void): void {
  const before = useRef<ReadonlySet<string>>(undefined);
  const reachable = fleet.services.filter((service) => service.reachable && !gone).map(({ service }) => service);
  const names = reachable.join(' ');
  useEffect(() => {
    const now = new Set(names === '' ? [] : names.split(' '));
    const earlier = before.current;
    before.current = now;
    if (earlier !== undefined && [...now].some((service) => !earlier.has(service))) onReturn();
  }, [names, onReturn]);
}
