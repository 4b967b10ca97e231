import { countBelow } from '@azora/db-migrate';
import { effectsOf } from '../effects';
import { type Finding, type LintedScript, OUR_RULES } from './rules';
import { concerns, helpFor, runSquawk, SQUAWK_RULES, SQUAWK_SYNTAX_ERROR, type SquawkFinding } from './squawk';

/** All names that `-- lint-ignore` takes. */
const KNOWN_RULES: ReadonlySet<string> = new Set([...Object.keys(OUR_RULES), ...SQUAWK_RULES, SQUAWK_SYNTAX_ERROR]);

/**
 * The findings of squawk and of the suite's own rules in each file, in the order of the text, without those that the file
 * ignores with a reason.
 * @throws {SuiteError} `LINT.NO_SQUAWK`, `LINT.SQUAWK_FAILED`; the reason of the signal
 */
export async function lintScripts(
  files: readonly LintedScript[],
  signal?: AbortSignal,
): Promise<readonly (readonly Finding[])[]> {
  const squawk = await runSquawk(
    files.map(({ script }) => script),
    signal,
  );
  return files.map((file, at) => {
    const ours = Object.values(OUR_RULES).flatMap((rule) => rule(file));
    return applyIgnores(file, [...ours, ...relevantFindings(file, squawk[at] ?? [])], KNOWN_RULES);
  });
}

function relevantFindings(
  { statements, direction }: LintedScript,
  findings: readonly SquawkFinding[],
): readonly Finding[] {
  const judged = effectsOf(statements);
  const offsets = statements.map(({ offset }) => offset);
  return withoutRepetition(findings)
    .filter(({ rule, offset }) => {
      const onlyNew = judged[countBelow(offsets, offset) - 1]?.onlyNew ?? false;
      return concerns(rule, direction, onlyNew);
    })
    .map(({ rule, level, offset, message, help }) => ({ rule, level, offset, message, help: helpFor(rule, help) }));
}

/** The exact rules report the same constraint with better advice; some of these constraints cannot be NOT VALID. */
const GENERAL_RULE = 'constraint-missing-not-valid';
const EXACT_RULES: ReadonlySet<string> = new Set([
  'adding-foreign-key-constraint',
  'adding-serial-primary-key-field',
  'disallowed-unique-constraint',
]);

/** The findings without those that a more exact rule reports too. */
function withoutRepetition(findings: readonly SquawkFinding[]): readonly SquawkFinding[] {
  const exact = findings
    .filter(({ rule }) => EXACT_RULES.has(rule))
    .map(({ offset }) => offset)
    .sort((left, right) => left - right);
  return findings.filter(({ rule, offset, end }) => {
    if (rule !== GENERAL_RULE) return true;
    return countBelow(exact, offset - 1) === countBelow(exact, end - 1);
  });
}

const COMMENT = /--[ \t]*(lint-ignore|squawk-(?:ignore|disable))\b([^\n\r]*)/gi;
const CONTENT = /^[ \t]+([^:]+?)[ \t]*:[ \t]*(\S.*)$/;
/** Other comments may stand between the comment and its statement, but no empty line. */
const DIRECTLY_ABOVE = /^\r?\n(?:[ \t]*--[^\n]*\n)*[ \t]*$/;

const FORM = 'Write "-- lint-ignore <rule>: <reason>" on a line of its own directly above the statement.';

/** One `-- lint-ignore` comment. */
interface Ignore {
  readonly offset: number;
  /** The offset of its statement. */
  readonly statement: number;
  readonly rules: readonly string[];
}

/**
 * Removes the findings that the file ignores with a reason, and adds findings about the comments themselves: `bad-ignore`,
 * for a comment that has no effect, and `unused-ignore`.
 */
function applyIgnores(
  file: LintedScript,
  findings: readonly Finding[],
  knownRules: ReadonlySet<string>,
): readonly Finding[] {
  const read = readIgnores(file, knownRules);
  const ignores = read.flatMap((it) => ('rules' in it ? [it] : []));
  const bad = read.flatMap((it) => ('rules' in it ? [] : [it]));
  const offsets = file.statements.map(({ offset }) => offset);
  const keyOf = (rule: string, statement: number | undefined) => `${statement} ${rule}`;
  const keyOfFinding = ({ rule, offset }: Finding) => keyOf(rule, offsets[countBelow(offsets, offset) - 1]);
  const ignored = new Set(ignores.flatMap(({ rules, statement }) => rules.map((rule) => keyOf(rule, statement))));
  const found = new Set(findings.map(keyOfFinding));
  const left = findings.filter((finding) => !ignored.has(keyOfFinding(finding)));
  const unused = ignores.flatMap((ignore) =>
    ignore.rules
      .filter((rule) => !found.has(keyOf(rule, ignore.statement)))
      .map((rule): Finding => {
        const message = `There is no finding of ${rule} to ignore here.`;
        return { rule: 'unused-ignore', level: 'warning', offset: ignore.offset, message, help: 'Remove the comment.' };
      }),
  );
  return [...left, ...bad, ...unused].sort((a, b) => a.offset - b.offset);
}

function readIgnores(file: LintedScript, knownRules: ReadonlySet<string>): readonly (Ignore | Finding)[] {
  const { sql } = file.script;
  const offsets = file.statements.map(({ offset }) => offset);
  return [...sql.matchAll(COMMENT)].map(({ index: offset, 0: comment, 1: word = '', 2: rest = '' }) => {
    const bad = (message: string): Finding => ({ rule: 'bad-ignore', level: 'error', offset, message, help: FORM });
    if (!/^lint-ignore$/i.test(word))
      return bad("Squawk's own comments have no effect here because they give no reason.");
    const [, list = '', reason] = CONTENT.exec(rest.trimEnd()) ?? [];
    if (reason === undefined) return bad('The comment lacks a rule or a reason.');
    const rules = list.split(',').map((name) => name.trim());
    const unknown = rules.filter((rule) => !knownRules.has(rule));
    if (unknown.length > 0) return bad(`Unknown rule: ${unknown.map((name) => JSON.stringify(name)).join(', ')}.`);
    const statement = statementBelow(sql, offsets, offset, offset + comment.length);
    return statement === undefined
      ? bad('The comment does not stand above a statement.')
      : { offset, statement, rules };
  });
}

/** The offset of the statement directly below a comment; the offsets ascend. */
function statementBelow(sql: string, offsets: readonly number[], start: number, end: number): number | undefined {
  const line = sql.slice(sql.lastIndexOf('\n', start - 1) + 1, start);
  const next = offsets[countBelow(offsets, end - 1)];
  const alone = /^\uFEFF?[ \t]*$/.test(line);
  return alone && next !== undefined && DIRECTLY_ABOVE.test(sql.slice(end, next)) ? next : undefined;
}
