import { SuiteError } from '@azora/db-core';

/** CODE.GRAMMAR_MISSING: the optional package with the grammar of a language is not installed. */
export function grammarMissing(facts: {
  readonly language: string;
  readonly package: string;
  readonly version: string;
}) {
  return new SuiteError('CODE.GRAMMAR_MISSING', `The grammar of ${facts.language} is not installed`, {
    kind: 'configuration',
    why: `The optional package ${facts.package} is not installed beside @azora/code.`,
    next: `Run: npm install ${facts.package}@${facts.version}`,
    meta: facts,
  });
}

/** CODE.ROOT_INVALID: the folder to read does not exist, is not a folder, or cannot be read. */
export function rootInvalid(root: string, cause: unknown): SuiteError {
  return new SuiteError('CODE.ROOT_INVALID', 'The folder cannot be read', {
    kind: 'usage',
    why: 'It does not exist, is not a folder, or this process may not read it.',
    next: 'Pass the path of a folder that this process may read',
    meta: { root },
    cause,
  });
}

/** CODE.GIT_FAILED: git could not list the files of its own working tree. */
export function gitFailed(root: string, reason: string): SuiteError {
  return new SuiteError('CODE.GIT_FAILED', 'git could not list the files of the folder', {
    kind: 'configuration',
    why: `git ls-files failed: ${reason}`,
    next: 'Run git status in the folder and follow its advice, then try again',
    meta: { root },
  });
}
