import { type ReactNode, useState } from 'react';
import type { ApiErrorBody, DeadLetter } from '../api/answers';
import { asFailure, postChange } from '../api/requests';
import { formatAge, formatCount } from '../shell/format';
import { numberColumn, ScrollingTable, textColumn } from '../shell/scrolling-table';
import { Failure } from '../shell/states';

const COLUMNS = [
  ...['Consumer', 'Position', 'Type', 'Key'].map(textColumn),
  numberColumn('Attempts'),
  ...['Last failed', 'Error'].map(textColumn),
];
const CHANGE_COLUMNS = [...COLUMNS, textColumn('Change')];

type Action = 'retry' | 'discard';

interface DeadLettersProps {
  readonly letters: readonly DeadLetter[];
  readonly total: number;
  readonly canChange: boolean;
  readonly onChange: () => void;
}

/** Events that a consumer has tried in vain; in a studio with --write, with buttons to retry and discard them. */
export function DeadLetters({ letters, total, canChange, onChange }: DeadLettersProps): ReactNode {
  const [said, setSaid] = useState('');
  const [failed, setFailed] = useState<ApiErrorBody>();
  const change = async (action: Action, { consumer, position }: DeadLetter): Promise<void> => {
    try {
      await postChange('/api/events/dead-letters', { action, consumer, position });
      setFailed(undefined);
      const done = action === 'retry' ? 'will be delivered again' : 'was given up';
      setSaid(`Position ${position} of ${consumer} ${done}.`);
    } catch (error) {
      setSaid('');
      setFailed(asFailure(error).body);
    }
    onChange();
  };
  return (
    <section aria-labelledby="dead-title">
      <h2 id="dead-title">Dead letters</h2>
      <p role="status" className={said === '' ? 'unseen' : 'quiet'}>
        {said}
      </p>
      {failed === undefined ? null : <Failure body={failed} />}
      {letters.length === total ? null : (
        <p className="quiet">
          The first {formatCount(letters.length)} of {formatCount(total)} are shown.
        </p>
      )}
      {letters.length === 0 ? (
        <p className="quiet">No event has failed for good.</p>
      ) : (
        <ScrollingTable labelledBy="dead-title" columns={canChange ? CHANGE_COLUMNS : COLUMNS}>
          {letters.map((letter) => (
            <Row
              key={`${letter.consumer} ${letter.position}`}
              letter={letter}
              change={canChange ? change : undefined}
            />
          ))}
        </ScrollingTable>
      )}
    </section>
  );
}

interface RowProps {
  readonly letter: DeadLetter;
  /** Undefined in a studio that can only read. */
  readonly change: ((action: Action, letter: DeadLetter) => Promise<void>) | undefined;
}

function Row({ letter, change }: RowProps): ReactNode {
  const { consumer, position, type, key, attempts, failedAt, lastError } = letter;
  return (
    <tr>
      <td>{consumer}</td>
      <th scope="row">{position}</th>
      <td>{type}</td>
      <td>{key}</td>
      <td className="number">{formatCount(attempts)}</td>
      <td>{formatAge(failedAt)}</td>
      <td>{lastError}</td>
      {change === undefined ? null : (
        <td>
          <Buttons letter={letter} change={change} />
        </td>
      )}
    </tr>
  );
}

interface ButtonsProps {
  readonly letter: DeadLetter;
  readonly change: NonNullable<RowProps['change']>;
}

/** Discarding cannot be undone, so it asks with a second button. */
function Buttons({ letter, change }: ButtonsProps): ReactNode {
  const [isBusy, setBusy] = useState(false);
  const [isAsking, setAsking] = useState(false);
  const which = `position ${letter.position} of ${letter.consumer}`;
  const run = async (action: Action): Promise<void> => {
    setBusy(true);
    await change(action, letter);
    setBusy(false);
    setAsking(false);
  };
  if (isAsking) {
    return (
      <span className="choices">
        <button
          type="button"
          aria-label={`Discard for good ${which}`}
          disabled={isBusy}
          onClick={() => void run('discard')}
        >
          Discard for good
        </button>
        <button type="button" aria-label={`Keep ${which}`} disabled={isBusy} onClick={() => setAsking(false)}>
          Keep
        </button>
      </span>
    );
  }
  return (
    <span className="choices">
      <button type="button" aria-label={`Retry ${which}`} disabled={isBusy} onClick={() => void run('retry')}>
        Retry
      </button>
      <button type="button" aria-label={`Discard ${which}`} disabled={isBusy} onClick={() => setAsking(true)}>
        Discard
      </button>
    </span>
  );
}
