import { type ReactNode, useEffect, useState } from 'react';
import type { FleetAnswer } from '../api/answers';
import type { DataPlace } from '../routing/data-link';
import { Loading } from '../shell/states';
import { readSchemaName } from './federated-schema';
import { UsageForm } from './usage-form';
import { UsageResults } from './usage-results';
import { type UsageQuestion, useUsage } from './use-usage';

interface UsagePanelProps {
  readonly fleet: FleetAnswer;
  readonly place: DataPlace;
  readonly onClose: () => void;
}

/** What the place in the address suggests: its table, and the value that it filters by. */
function suggested({ schema, table, equals }: DataPlace): UsageQuestion {
  return {
    service: schema === undefined ? '' : readSchemaName(schema).service,
    table: table ?? '',
    column: equals?.column ?? 'id',
    value: equals?.value ?? '',
  };
}

/** Asks all databases where the id of a row is used. */
export function UsagePanel({ fleet, place, onClose }: UsagePanelProps): ReactNode {
  const [question, setQuestion] = useState(() => suggested(place));
  const { outcome, ask } = useUsage();
  const suggestion = JSON.stringify(suggested(place));
  useEffect(() => {
    const next = JSON.parse(suggestion) as UsageQuestion;
    // A question stays while its results are followed; another value in the address is another question.
    setQuestion((before) => (before.value !== '' && ['', before.value].includes(next.value) ? before : next));
  }, [suggestion]);
  return (
    <aside className="usage" aria-labelledby="usage-title">
      <div className="section-head">
        <h2 id="usage-title">Where is this id used?</h2>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
      <UsageForm
        services={fleet.services.map(({ service }) => service)}
        question={question}
        onChange={setQuestion}
        onSubmit={() => void ask({ ...question, value: question.value.trim() })}
      />
      {outcome?.kind === 'asking' ? <Loading what="the uses" /> : null}
      <UsageResults outcome={outcome} />
    </aside>
  );
}
