import type { SquawkFinding } from './squawk';

/** These say the same of one constraint, and how; NOT VALID, which the general rule asks for, some of them cannot be. */
const GENERAL_RULE = 'constraint-missing-not-valid';
const EXACT_RULES: ReadonlySet<string> = new Set([
  'adding-foreign-key-constraint',
  'adding-serial-primary-key-field',
  'disallowed-unique-constraint',
]);

/** The findings without those that another one says better. */
export function withoutRepetition(findings: readonly SquawkFinding[]): readonly SquawkFinding[] {
  const exact = findings.filter(({ rule }) => EXACT_RULES.has(rule));
  return findings.filter(
    ({ rule, offset, end }) =>
      rule !== GENERAL_RULE || !exact.some((other) => offset <= other.offset && other.offset < end),
  );
}
