import type { StudioProps } from '@prisma/studio-core/ui';
import { useCallback, useState } from 'react';

type OnEvent = NonNullable<StudioProps['onEvent']>;

interface StudioErrors {
  /** Why the newest request failed, for as long as the address is the one that it failed at. */
  readonly error: string | undefined;
  readonly onEvent: OnEvent;
  readonly dismiss: () => void;
}

// The SQL view shows its errors itself, and the databases that could not be read are told of together.
const TOLD_ELSEWHERE = ['introspect', 'raw-query'];

function isWorthTelling({ operation, error }: { readonly operation: string; readonly error: Error }): boolean {
  return error.name !== 'AbortError' && !TOLD_ELSEWHERE.includes(operation);
}

/** The errors that Studio itself shows as an empty table. */
export function useStudioErrors(hash: string): StudioErrors {
  const [failed, setFailed] = useState<{ readonly message: string; readonly hash: string }>();
  const dismiss = useCallback(() => setFailed(undefined), []);
  const onEvent = useCallback<OnEvent>((event) => {
    if (event.name === 'studio_launched') return;
    if (event.name === 'studio_operation_success') setFailed(undefined);
    else if (isWorthTelling(event.payload)) setFailed({ message: event.payload.error.message, hash: location.hash });
  }, []);
  return { error: failed?.hash === hash ? failed.message : undefined, onEvent, dismiss };
}
