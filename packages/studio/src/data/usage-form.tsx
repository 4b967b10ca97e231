import { type ReactNode, type RefObject, useEffect, useRef } from 'react';
import type { UsageQuestion } from './use-usage';

interface UsageFormProps {
  readonly services: readonly string[];
  readonly question: UsageQuestion;
  readonly onChange: (question: UsageQuestion) => void;
  readonly onSubmit: () => void;
}

/** Which column, and which value; the value has the focus when the form opens. */
export function UsageForm({ services, question, onChange, onSubmit }: UsageFormProps): ReactNode {
  const value = useRef<HTMLInputElement>(null);
  useEffect(() => {
    value.current?.focus();
  }, []);
  const set = (field: keyof UsageQuestion) => (text: string) => onChange({ ...question, [field]: text });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        onSubmit();
      }}
    >
      <label>
        Service
        <select value={question.service} onChange={(event) => set('service')(event.target.value)} required>
          <option value="">choose</option>
          {services.map((service) => (
            <option key={service}>{service}</option>
          ))}
        </select>
      </label>
      <TextField label="Table" text={question.table} onChange={set('table')} />
      <TextField label="Column" text={question.column} onChange={set('column')} />
      <TextField label="Value" text={question.value} onChange={set('value')} input={value} />
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
