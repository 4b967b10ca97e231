import type { Finding, LintedScript } from './finding';

const COMMENT = /--[ \t]*(lint-ignore|squawk-(?:ignore|disable))\b([^\n\r]*)/gi;
const CONTENT = /^[ \t]+([^:]+?)[ \t]*:[ \t]*(\S.*)$/;
/** Between the comment and its statement there may be other comments, and no empty line. */
const DIRECTLY_ABOVE = /^\r?\n(?:[ \t]*--[^\n]*\n)*[ \t]*$/;

const FORM = 'Write "-- lint-ignore <rule>: <reason>" on a line of its own directly above the statement.';

interface Ignore {
  readonly offset: number;
  /** Where its statement begins. */
  readonly statement: number;
  readonly rules: readonly string[];
}

/**
 * Takes away what the file says is meant, each with its reason, and adds what is wrong with how it says so: `bad-ignore`,
 * which silences nothing, and `unused-ignore`.
 */
export function applyIgnores(
  file: LintedScript,
  findings: readonly Finding[],
  knownRules: ReadonlySet<string>,
): readonly Finding[] {
  const read = readIgnores(file, knownRules);
  const ignores = read.flatMap((it) => ('rules' in it ? [it] : []));
  const bad = read.flatMap((it) => ('rules' in it ? [] : [it]));
  const statementOf = ({ offset }: Finding) => file.statements.findLast((it) => it.offset <= offset)?.offset;
  const hits = (ignore: Ignore, rule: string, finding: Finding) =>
    finding.rule === rule && statementOf(finding) === ignore.statement;
  const left = findings.filter(
    (finding) => !ignores.some((ignore) => ignore.rules.some((rule) => hits(ignore, rule, finding))),
  );
  const unused = ignores.flatMap((ignore) =>
    ignore.rules
      .filter((rule) => !findings.some((finding) => hits(ignore, rule, finding)))
      .map((rule): Finding => {
        const message = `There is nothing about ${rule} to ignore here.`;
        return { rule: 'unused-ignore', level: 'warning', offset: ignore.offset, message, help: 'Remove it.' };
      }),
  );
  return [...left, ...bad, ...unused].sort((a, b) => a.offset - b.offset);
}

function readIgnores(file: LintedScript, knownRules: ReadonlySet<string>): readonly (Ignore | Finding)[] {
  const { sql } = file.script;
  return [...sql.matchAll(COMMENT)].map(({ index: offset, 0: comment, 1: word = '', 2: rest = '' }) => {
    const bad = (message: string): Finding => ({ rule: 'bad-ignore', level: 'error', offset, message, help: FORM });
    if (!/^lint-ignore$/i.test(word)) return bad('A comment of squawk silences nothing here, for it gives no reason.');
    const [, list = '', reason] = CONTENT.exec(rest.trimEnd()) ?? [];
    if (reason === undefined) return bad('It gives no rule or no reason.');
    const rules = list.split(',').map((name) => name.trim());
    const unknown = rules.filter((rule) => !knownRules.has(rule));
    if (unknown.length > 0) return bad(`There is no rule ${unknown.map((name) => JSON.stringify(name)).join(', ')}.`);
    const statement = statementBelow(file, offset, offset + comment.length);
    return statement === undefined ? bad('It stands above no statement.') : { offset, statement, rules };
  });
}

function statementBelow({ script: { sql }, statements }: LintedScript, start: number, end: number): number | undefined {
  const line = sql.slice(sql.lastIndexOf('\n', start - 1) + 1, start);
  const next = statements.find(({ offset }) => offset >= end)?.offset;
  const alone = /^\uFEFF?[ \t]*$/.test(line);
  return alone && next !== undefined && DIRECTLY_ABOVE.test(sql.slice(end, next)) ? next : undefined;
}
