// The house rules for prose (CONTRIBUTING.md, "Language"): wordings that puzzle a reader who does not know this repository.
// Each rule names what to write instead and carries an example; tests/prose.test.ts checks that the pattern rejects `wrong`
// and accepts `right`. Patterns see a paragraph whose code is blanked out.

/** @type {readonly { pattern: RegExp; instead: string; wrong: string; right: string; markdown?: true }[]} */
exports.RULES = [
  {
    pattern: /\b(?:is|are|was|were) (?:not )?to be [a-z]+/gi,
    instead: 'must be, can be, or the plain verb',
    wrong: 'No connection was to be had in time',
    right: 'Timed out waiting for a free connection',
  },
  {
    pattern:
      /(?<!\b(?:there|here) )\b(?:is|are|was|were) no (?!longer\b|more\b|less\b|fewer\b|[a-z]+er than\b)[a-z]+/gi,
    instead: 'is not a …',
    wrong: 'The value is no id',
    right: 'The value is not a valid id; there is no other',
  },
  {
    pattern:
      /(?:^|[.;:!?|]\s+)What (?:is|are|was|were|has|have|had|cannot|can|may|must|does|[a-z]+s (?:in|to|up|out|off|no))\b(?![^.?|]*\?)/g,
    instead: 'a sentence that names its subject',
    wrong: 'What is finer than 8 decimals is rejected.',
    right: 'Amounts with more than 8 decimals are rejected. What is an amount?',
  },
  {
    pattern: /(?:^|[.;:!?|]\s+)(?:What|Who)\s(?![^.?|]*\?)[^.]*/g,
    instead: 'a sentence that names its subject',
    wrong: 'Who waits sees the process that holds the lock.',
    right: 'The command names the process that holds the lock. Who asks?',
    markdown: true,
  },
  {
    pattern: /\bwho(?:m|so)?ever\b/gi,
    instead: 'the noun: the caller, the runner, the next command',
    wrong: 'Whoever waited finds nothing left to do',
    right: 'A runner that waited finds nothing left to do',
  },
  {
    pattern: /\bthat of (?:an?|the|one|each|its|another)\b/gi,
    instead: 'the noun again, or a possessive',
    wrong: 'The URL of the role and that of the administrator',
    right: "The role's URL and the administrator's URL",
  },
  {
    pattern: /\bof (?:which|whom)\b/gi,
    instead: 'whose, or two sentences',
    wrong: 'A lock the owner of which is gone',
    right: 'A lock whose owner is gone',
  },
  {
    pattern: /\b(?:goes|go|went|going|gone) on\b/gi,
    instead: 'continue',
    wrong: 'The run goes on past a failing service',
    right: 'The run continues after a service fails',
  },
  {
    pattern: /\b(?:is|are|was|were|been|be) told\b|\btells? of\b/gi,
    instead: 'report, or print',
    wrong: 'The time is told',
    right: 'The command prints the time',
  },
  {
    pattern: /\b(?:taken|take|takes|took) back\b|\bway back\b/gi,
    instead: 'revert, down migration',
    wrong: 'The migration is taken back; it has no way back',
    right: 'The migration is reverted; it has no down migration',
  },
  {
    pattern: /\bcomes? to (?:its|an|no) end\b|\bcame to (?:its|an|no) end\b/gi,
    instead: 'finish, end',
    wrong: 'The command came to no end',
    right: 'The command never finished',
  },
  {
    pattern: /\bso many\b(?! [a-z]+ that\b)/gi,
    instead: 'the given number of',
    wrong: 'Down so many steps',
    right: 'Reverts the given number of migrations',
  },
  {
    pattern: /\bwants? (?:attention|to be)\b/gi,
    instead: 'needs',
    wrong: 'Something wants attention',
    right: 'Something needs attention',
  },
  {
    pattern: /\b(?:of ours|of theirs|no concern of|nobody's business)\b/gi,
    instead: 'a plain statement with the owner as its subject',
    wrong: 'Other files are no concern of ours',
    right: 'Other files are ignored',
  },
  {
    pattern: /\b(?:holds?|is|are|contains?) what (?:is|are|has|was) /gi,
    instead: 'the noun that "what" stands for',
    wrong: 'The input holds what is no text',
    right: 'The input contains NUL or an unpaired surrogate',
  },
  {
    pattern: /[«»]/g,
    instead: '"…" or `code`',
    wrong: 'Run «npm start»',
    right: 'Run "npm start"',
  },
];

/** Wordings that a rule rejects and that are right here, by file or by "*" for all files; keep it short. */
exports.EXCEPTIONS = {
  '*': [],
};

/** Rules of write-good that fit technical prose. Its passive voice and adverbs are fine where the actor does not matter. */
exports.WRITE_GOOD = {
  illusion: true,
  cliches: true,
  so: true,
  passive: false,
  weasel: false,
  thereIs: false,
  adverb: false,
  tooWordy: false,
  eprime: false,
};

/** The findings of the house rules in a text, whose code must be blanked out. `markdown` rules apply to its paragraphs only. */
exports.findWordings = function findWordings(text, { isParagraph, file = '' }) {
  const allowed = [...exports.EXCEPTIONS['*'], ...(exports.EXCEPTIONS[file] ?? [])];
  return exports.RULES.filter(({ markdown }) => isParagraph || markdown !== true).flatMap(({ pattern, instead }) =>
    [...text.matchAll(pattern)]
      .filter(([found]) => !allowed.includes(found))
      .map((match) => ({ index: match.index, found: match[0].replace(/\s+/g, ' ').slice(0, 60), instead })),
  );
};
