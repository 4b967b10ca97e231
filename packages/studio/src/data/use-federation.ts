import type { Adapter } from '@prisma/studio-core/data';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import type { FleetAnswer } from '../api/answers';
import { createFederatedAdapter } from './federated-adapter';
import type { Unread } from './introspect-all';

interface FederationState {
  readonly adapter: Adapter;
  /** A new one needs a new Studio, which keeps rows by table name only. */
  readonly generation: number;
  readonly unread: readonly Unread[];
  /** The newest answer holds the first rows only. */
  readonly isCut: boolean;
  /** Something came back that Studio does not show yet; with writes the user decides when, edits would be lost. */
  readonly isStale: boolean;
  readonly reload: () => void;
}

/** The fleet's adapter: the same one while the fleet has the same form, a new one when a database or the server is back. */
export function useFederation(fleet: FleetAnswer, gone: boolean): FederationState {
  const [generation, setGeneration] = useState(0);
  const [unread, setUnread] = useState<readonly Unread[]>([]);
  const [isCut, setCut] = useState(false);
  const [isStale, setStale] = useState(false);
  const { write } = fleet;
  const form = JSON.stringify({
    write,
    services: fleet.services.map(({ service, write: writes, hidden }) => ({ service, writes, hidden })),
    links: fleet.links,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: the fleet is read anew every few seconds, its form stays
  const adapter = useMemo(
    () => createFederatedAdapter(fleet, { onUnread: setUnread, onCut: setCut }),
    [form, generation],
  );
  const reload = useCallback(() => {
    setStale(false);
    setGeneration((count) => count + 1);
  }, []);
  const onReturn = useCallback(() => (write ? setStale(true) : reload()), [write, reload]);
  useReturn(fleet, gone, onReturn);
  return { adapter, generation, unread, isCut, isStale, reload };
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
