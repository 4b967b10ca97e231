import { Studio } from '@prisma/studio-core/ui';
import { type ReactNode, useRef, useState } from 'react';
import type { FleetAnswer } from '../api/answers';
import { readDataPlace } from '../routing/data-link';
import { useHash } from '../routing/location';
import { DataBar } from './data-bar';
import { setReadOnly } from './read-only';
import { StudioBanners } from './studio-banners';
import { closeNavigationWhereNarrow } from './studio-preferences';
import { UsagePanel } from './usage-panel';
import { useFederation } from './use-federation';
import { useStudioErrors } from './use-studio-errors';

closeNavigationWhereNarrow();

/** Studio on all databases at once, with what it lacks around it: errors, hidden columns, where an id is used. */
export function DataPage({ fleet, gone }: { readonly fleet: FleetAnswer; readonly gone: boolean }): ReactNode {
  const hash = useHash();
  const place = readDataPlace(hash);
  const { adapter, generation, unread, isCut, isStale, reload } = useFederation(fleet, gone);
  const { error, onEvent, dismiss } = useStudioErrors(hash);
  const [isUsageOpen, setUsageOpen] = useState(false);
  const usageButton = useRef<HTMLButtonElement>(null);
  const closeUsage = (): void => {
    setUsageOpen(false);
    usageButton.current?.focus();
  };
  setReadOnly(!fleet.write);
  return (
    <div className="data">
      <h1 className="unseen">Data</h1>
      <DataBar
        fleet={fleet}
        place={place}
        isUsageOpen={isUsageOpen}
        usageButton={usageButton}
        onUsage={() => setUsageOpen(!isUsageOpen)}
      />
      <StudioBanners
        error={error}
        unread={unread}
        isCut={isCut}
        isStale={isStale}
        onReload={reload}
        onDismiss={dismiss}
      />
      <div className="data-body">
        <div className="data-studio">
          <Studio key={generation} adapter={adapter} onEvent={onEvent} />
        </div>
        {isUsageOpen ? <UsagePanel fleet={fleet} place={place} onClose={closeUsage} /> : null}
      </div>
    </div>
  );
}
