// The texts in source files that a person reads: error messages, help texts, comments and test titles.
const ts = require('typescript');

/** Functions and methods whose string arguments are shown to a user. */
const MESSAGES =
  /^(SuiteError|Error|InvalidArgumentError|Option|Argument|summary|description|option|argument|addHelpText|log)$/;
/** Properties whose strings are shown to a user. */
const MESSAGE_PROPERTIES = /^(message|why|next|detail|label|about|problem|what|text)$/;
/** Statements stand under the same names as messages: `{ text: 'SELECT …' }`. */
const SQL = /^\s*(SELECT|INSERT|UPDATE|DELETE|WITH|CREATE|ALTER|COPY) /;
const TITLES = /^(it|describe|test)$/;

/** Every text of a source file: its kind, its words and the line that it starts on. */
exports.textsOf = function textsOf(file, source) {
  const tree = ts.createSourceFile(file, source, ts.ScriptTarget.Latest, true);
  const texts = [];
  const add = (kind, text, position) => {
    if (/[a-z]{2,} [a-z]/i.test(text) && !SQL.test(text))
      texts.push({ kind, text, line: tree.getLineAndCharacterOfPosition(position).line + 1 });
  };
  const visit = (node) => {
    const kind = kindOf(node);
    if (kind !== undefined) add(kind, wordsOf(node), node.getStart());
    ts.forEachChild(node, visit);
  };
  visit(tree);
  for (const { pos, text } of commentsOf(tree, source)) add('comment', text, pos);
  return texts;
};

function kindOf(node) {
  if (!ts.isStringLiteralLike(node) && !ts.isTemplateExpression(node)) return undefined;
  const { parent } = node;
  if (ts.isPropertyAssignment(parent)) {
    return ts.isIdentifier(parent.name) && MESSAGE_PROPERTIES.test(parent.name.text) ? 'message' : undefined;
  }
  if (ts.isCallExpression(parent) || ts.isNewExpression(parent)) {
    const name = calleeOf(parent.expression);
    if (TITLES.test(name)) return 'title';
    return MESSAGES.test(name) ? 'message' : undefined;
  }
  // The branches of a condition inside a message.
  return ts.isConditionalExpression(parent) || ts.isReturnStatement(parent) ? 'message' : undefined;
}

/** `it` of `it.each(rows)(title, …)`, `summary` of `program.command(…).summary(…)`. */
function calleeOf(expression) {
  if (ts.isIdentifier(expression)) return expression.text;
  if (ts.isCallExpression(expression)) return calleeOf(expression.expression);
  if (!ts.isPropertyAccessExpression(expression)) return '';
  const owner = calleeOf(expression.expression);
  return TITLES.test(owner) ? owner : expression.name.text;
}

function wordsOf(node) {
  if (ts.isStringLiteralLike(node)) return node.text;
  return node.head.text + node.templateSpans.map(({ literal }) => `…${literal.text}`).join('');
}

/** Comments, with the line comments that follow each other as one. */
function commentsOf(tree, source) {
  const ranges = new Map();
  const visit = (node) => {
    for (const range of ts.getLeadingCommentRanges(source, node.pos) ?? []) ranges.set(range.pos, range);
    for (const range of ts.getTrailingCommentRanges(source, node.end) ?? []) ranges.set(range.pos, range);
    for (const child of node.getChildren(tree)) visit(child);
  };
  visit(tree);
  const comments = [];
  for (const { pos, end, kind } of [...ranges.values()].sort((one, other) => one.pos - other.pos)) {
    const last = comments.at(-1);
    const text = source.slice(pos, end).replace(/^\/\*\*?|\*\/$|^[ \t]*(\*|\/\/) ?/gm, '');
    const continues =
      kind === ts.SyntaxKind.SingleLineCommentTrivia && last !== undefined && /^\s*$/.test(source.slice(last.end, pos));
    if (continues) Object.assign(last, { end, text: `${last.text}\n${text}` });
    else comments.push({ pos, end, text: text.trim() });
  }
  return comments.map(({ pos, text }) => ({ pos, text: blankCode(text) }));
}

function blankCode(text) {
  return text.replace(/`[^`\n]*`|\{@link [^}]*\}/g, (code) => 'x'.repeat(code.length));
}
