/** A row that does not follow from the rows that it is derived from, as a store's `reconcile` finds it. */
export interface Difference {
  /** The name of the rule, such as `conversation.messages`. */
  readonly check: string;
  readonly id: string;
  readonly found: string;
  readonly expected: string;
}
