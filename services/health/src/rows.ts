/** A row of a model as `pg` returns it, with the names of columns. */
export type Row<Model> = { readonly [Field in keyof Model as Snake<Field & string>]: Model[Field] };
type Snake<Name extends string> = Name extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? First : `_${Lowercase<First>}`}${Snake<Rest>}`
  : '';

/** The row of a statement that returns exactly one. */
export function onlyRow<Found>(rows: readonly Found[]): Found {
  const [row] = rows;
  if (row === undefined || rows.length > 1)
    throw new Error(`the statement returned ${rows.length} rows instead of one`);
  return row;
}

/** SQL conditions with their parameters: only the conditions of a call are in its text, so that each has a plan of its own. */
export class Conditions {
  readonly values: unknown[];
  private readonly parts: string[] = [];

  /** @param values the parameters that the statement already has */
  constructor(...values: readonly unknown[]) {
    this.values = [...values];
  }

  /** Adds the condition of a value, unless the value is undefined. `condition` gets the parameter, such as $3. */
  add<Value>(value: Value | undefined, condition: (parameter: string) => string): this {
    if (value === undefined) return this;
    this.parts.push(condition(this.parameter(value)));
    return this;
  }

  /** Adds a value that the text names by the returned parameter. */
  parameter(value: unknown): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }

  get where(): string {
    return this.parts.length === 0 ? '' : `WHERE ${this.parts.join(' AND ')}`;
  }
}
