import { effectsOf } from '../effects';
import { cascade } from './cascade';
import { concurrentInTransaction, indexNotConcurrent, severalConcurrent } from './concurrent-indexes';
import { dropsUnmanaged } from './drops-unmanaged';
import type { Finding, LintedScript, Rule } from './finding';
import { applyIgnores } from './ignores';
import { lockTimeoutMissing } from './lock-timeout';
import { withoutRepetition } from './repetition';
import { runSquawk, type SquawkFinding } from './squawk';
import { concerns, helpFor, SQUAWK_RULES, SQUAWK_SYNTAX_ERROR } from './squawk-rules';

const OUR_RULES: Readonly<Record<string, Rule>> = {
  'lock-timeout-missing': lockTimeoutMissing,
  'index-not-concurrent': indexNotConcurrent,
  'concurrent-in-transaction': concurrentInTransaction,
  'several-concurrent': severalConcurrent,
  'drops-unmanaged': dropsUnmanaged,
  cascade,
};

const KNOWN_RULES: ReadonlySet<string> = new Set([...Object.keys(OUR_RULES), ...SQUAWK_RULES, SQUAWK_SYNTAX_ERROR]);

/**
 * What squawk and our own rules find in the files, each in the order of its text, without what the file gives a reason for.
 * @throws {SuiteError} `LINT.NO_SQUAWK`, `LINT.SQUAWK_FAILED`
 */
export async function findFaults(files: readonly LintedScript[]): Promise<readonly (readonly Finding[])[]> {
  const squawk = await runSquawk(files.map(({ script }) => script));
  return files.map((file, at) => {
    const ours = Object.values(OUR_RULES).flatMap((rule) => rule(file));
    return applyIgnores(file, [...ours, ...concerning(file, squawk[at] ?? [])], KNOWN_RULES);
  });
}

function concerning({ statements, direction }: LintedScript, findings: readonly SquawkFinding[]): readonly Finding[] {
  const judged = effectsOf(statements);
  return withoutRepetition(findings)
    .filter(({ rule, offset }) => {
      const onlyNew = judged.findLast(({ statement }) => statement.offset <= offset)?.onlyNew ?? false;
      return concerns(rule, direction, onlyNew);
    })
    .map(({ rule, level, offset, message, help }) => ({ rule, level, offset, message, help: helpFor(rule, help) }));
}
