/** A saga that a test kills once, at the point that its key names, such as `before hold`. */
export interface Scenario {
  readonly name: string;
  /** Unique among the sagas of this name in the test. */
  readonly key: string;
  readonly point: string;
  /** The step that is refused; undefined for a saga that succeeds. */
  readonly refusedAt?: string;
}

/** What the doomed process gets as JSON. */
export interface CrashJob {
  readonly urls: Readonly<Record<'education' | 'forge' | 'mint' | 'nexus', string>>;
  readonly scenarios: readonly Scenario[];
  readonly leaseMs: number;
}

export const pointOf = (when: 'before' | 'after', action: string): string => `${when} ${action}`;

/** Every point of these actions. */
export function pointsOf(actions: readonly string[]): readonly string[] {
  return actions.flatMap((action) => [pointOf('before', action), pointOf('after', action)]);
}
