import type { Column } from '@prisma/studio-core/data';
import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from 'react';
import type { CheckValue } from './value-text';

interface PopoverActions {
  readonly handleCancel: () => void;
}

/** What Studio gives the editor of a cell. A build patch adds its own hook for the popover around the editor. */
export interface ValueInputProps {
  readonly column: Column;
  readonly context: 'edit' | 'insert';
  readonly onNavigate?: (direction: 'tab') => void;
  readonly onSubmit: (value: unknown) => void;
  readonly readonly: boolean;
  readonly value: unknown;
  readonly usePopoverActions: (actions: { readonly onSave: () => void }) => PopoverActions;
}

/** Null and the default are states of their own, so that an empty text is only ever an empty text. */
type Draft = { readonly kind: 'text'; readonly text: string } | { readonly kind: 'null' | 'default' };

/**
 * The editor of every cell. Studio's own editors read numbers, documents and lists as JavaScript values, and so change
 * them. This one keeps PostgreSQL's text, and lets the database refuse what the column cannot hold.
 */
export function ValueInput(props: ValueInputProps): ReactNode {
  const { column, onNavigate, readonly, usePopoverActions } = props;
  const { draft, setDraft, problem, isChecking, save } = useDraft(props);
  const { handleCancel } = usePopoverActions({ onSave: () => void save() });
  const id = useId();
  const close = async (): Promise<boolean> => {
    const isSaved = await save();
    if (isSaved) handleCancel();
    return isSaved;
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const isNewLine = event.key === 'Enter' && event.shiftKey;
    if (isNewLine || !['Enter', 'Escape', 'Tab'].includes(event.key)) return;
    if (event.key === 'Tab' && onNavigate === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === 'Escape') handleCancel();
    else void close().then((isSaved) => isSaved && event.key === 'Tab' && onNavigate?.('tab'));
  };
  return (
    <div className="value-input">
      <label className="unseen" htmlFor={id}>
        {column.name}
      </label>
      <Editor {...{ id, column, draft, readonly, onKeyDown }} onChange={setDraft} />
      {problem === undefined ? null : (
        <p role="alert" className="value-problem">
          {problem}
        </p>
      )}
      <div className="value-actions">
        {readonly ? null : <Choices {...props} draft={draft} onChoose={setDraft} />}
        <button type="button" onClick={handleCancel}>
          {readonly ? 'Close' : 'Cancel'}
        </button>
        {readonly ? null : (
          <button type="button" disabled={isChecking} onClick={() => void close()}>
            {isChecking ? 'Checking…' : 'Keep'}
          </button>
        )}
      </div>
    </div>
  );
}

interface DraftState {
  readonly draft: Draft;
  readonly setDraft: (draft: Draft) => void;
  readonly problem: string | undefined;
  readonly isChecking: boolean;
  /** Hands the draft to Studio; false when the database refused it. */
  readonly save: () => Promise<boolean>;
}

function useDraft({ column, context, onSubmit, readonly, value }: ValueInputProps): DraftState {
  const first = useRef(draftOf(value, context)).current;
  const [draft, set] = useState(first);
  const [problem, setProblem] = useState<string>();
  const [isChecking, setChecking] = useState(false);
  const isOpen = useRef(true);
  useEffect(() => {
    isOpen.current = true;
    return () => {
      isOpen.current = false;
    };
  }, []);
  const setDraft = (next: Draft): void => {
    setProblem(undefined);
    set(next);
  };
  const save = async (): Promise<boolean> => {
    if (readonly || isSame(draft, first)) return true;
    if (draft.kind !== 'text') {
      onSubmit(draft.kind === 'null' ? null : undefined);
      return true;
    }
    setChecking(true);
    const checked = await checkValue(column, draft.text).finally(() => setChecking(false));
    if ('stored' in checked) onSubmit(checked.stored);
    else if (isOpen.current) setProblem(checked.problem);
    // A click beside the editor closes it before the answer: the page tells what became of the text.
    else onRefused(`${column.table}.${column.name} was not changed: ${checked.problem}`);
    return 'stored' in checked;
  };
  return { draft, setDraft, problem, isChecking, save };
}

let checkValue: CheckValue = async (_column, text) => ({ stored: text });
let onRefused: (message: string) => void = () => undefined;

/** Connects the editors, which Studio creates, with the database and with the page. */
export function connectValueInputs(check: CheckValue, refused: (message: string) => void): void {
  checkValue = check;
  onRefused = refused;
}

function draftOf(value: unknown, context: ValueInputProps['context']): Draft {
  if (value === undefined) return { kind: context === 'insert' ? 'default' : 'null' };
  return value === null ? { kind: 'null' } : { kind: 'text', text: String(value) };
}

function isSame(left: Draft, right: Draft): boolean {
  if (left.kind !== 'text' || right.kind !== 'text') return left.kind === right.kind;
  return left.text === right.text;
}

interface EditorProps {
  readonly id: string;
  readonly column: Column;
  readonly draft: Draft;
  readonly readonly: boolean;
  readonly onChange: (draft: Draft) => void;
  readonly onKeyDown: (event: KeyboardEvent) => void;
}

function Editor({ id, column, draft, readonly, onChange, onKeyDown }: EditorProps): ReactNode {
  const text = draft.kind === 'text' ? draft.text : '';
  const change = (event: { readonly target: { readonly value: string } }): void =>
    onChange({ kind: 'text', text: event.target.value });
  const options = optionsOf(column);
  const hint = draft.kind === 'null' ? 'NULL' : draft.kind === 'default' ? 'default' : '';
  if (options === undefined) {
    return (
      <textarea {...{ id, onKeyDown }} rows={4} value={text} placeholder={hint} readOnly={readonly} onChange={change} />
    );
  }
  return (
    <select {...{ id, onKeyDown }} value={text} disabled={readonly} onChange={change}>
      {options.includes(text) ? null : <option value={text}>{hint === '' ? text : hint}</option>}
      {options.map((option) => (
        <option key={option}>{option}</option>
      ))}
    </select>
  );
}

/** The words of a type that has few. */
function optionsOf({ datatype }: Column): readonly string[] | undefined {
  if (datatype.group === 'boolean') return ['true', 'false'];
  return datatype.group === 'enum' && datatype.options.length > 0 ? datatype.options : undefined;
}

/** Types that have the empty text as a value. */
const TEXT_TYPES: ReadonlySet<string> = new Set(['text', 'varchar', 'bpchar', 'char', 'citext', 'name']);

interface ChoicesProps {
  readonly column: Column;
  readonly context: ValueInputProps['context'];
  readonly draft: Draft;
  readonly onChoose: (draft: Draft) => void;
}

/** Buttons for what a text cannot say. */
function Choices({ column, context, draft, onChoose }: ChoicesProps): ReactNode {
  const { nullable, defaultValue, datatype } = column;
  return (
    <>
      {TEXT_TYPES.has(datatype.name) && draft.kind !== 'text' ? (
        <button type="button" onClick={() => onChoose({ kind: 'text', text: '' })}>
          Empty text
        </button>
      ) : null}
      {nullable && draft.kind !== 'null' ? (
        <button type="button" onClick={() => onChoose({ kind: 'null' })}>
          NULL
        </button>
      ) : null}
      {context === 'insert' && defaultValue !== null && draft.kind !== 'default' ? (
        <button type="button" onClick={() => onChoose({ kind: 'default' })}>
          Default
        </button>
      ) : null}
    </>
  );
}
