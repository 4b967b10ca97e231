// `npm run lint:prose [-- path…]`: checks the wording of Markdown files and of the messages, help texts, comments and test
// titles in source files, with textlint, write-good and the house rules of rules.js. Exits with 1 when it finds something.
const { readdirSync, readFileSync, statSync } = require('node:fs');
const path = require('node:path');
const { TextlintKernel } = require('@textlint/kernel');
const { default: markdownPlugin } = require('@textlint/textlint-plugin-markdown');
const { default: textPlugin } = require('@textlint/textlint-plugin-text');
const { default: writeGood } = require('textlint-rule-write-good');
const { findWordings, WRITE_GOOD } = require('./rules.js');
const { textsOf } = require('./texts.js');

const root = path.resolve(__dirname, '..');
const SKIPPED_FOLDERS = ['node_modules', 'dist', 'generated', 'build', 'fixtures', '.git', '.azora', '.nx'];
/** Generated from the schemas: their words are linted where they are written. This folder quotes wrong wordings. */
const SKIPPED_FILES = ['DATABASE-STATUS.md', 'docs/er', 'prose/rules.js', 'tests/prose.test.ts'];
const kernel = new TextlintKernel();
const plugins = [
  { pluginId: 'markdown', plugin: markdownPlugin },
  { pluginId: 'text', plugin: textPlugin },
];
const rules = [
  { ruleId: 'write-good', rule: writeGood, options: WRITE_GOOD },
  { ruleId: 'house', rule: houseRule, options: {} },
];

/** The house rules over the blocks of a document. */
function houseRule(context) {
  const { Syntax, RuleError, getSource, getFilePath, locator, report } = context;
  const check = (node) => {
    const options = { isParagraph: node.type !== Syntax.Header, file: getFilePath() };
    for (const { index, found, instead } of findWordings(blankCode(node, getSource(node)), options)) {
      report(node, new RuleError(`"${found}": write ${instead}`, { padding: locator.at(index) }));
    }
  };
  return { [Syntax.Paragraph]: check, [Syntax.Header]: check, [Syntax.TableCell]: check };
}

/** The source of a block with an x for each character of its code. */
function blankCode(node, source) {
  let text = source;
  const visit = (child) => {
    if (child.type === 'Code') {
      const [from, to] = child.range.map((at) => at - node.range[0]);
      text = text.slice(0, from) + 'x'.repeat(to - from) + text.slice(to);
    }
    for (const it of child.children ?? []) visit(it);
  };
  visit(node);
  return text;
}

async function lintMarkdown(file, text) {
  const { messages } = await kernel.lintText(text, { filePath: file, ext: '.md', plugins, rules });
  return messages.map(({ line, message }) => ({ file, line, message: message.split('\n')[0] }));
}

/** write-good sees messages only: comments and titles are often no whole sentences. */
async function lintSource(file, source) {
  const findings = [];
  for (const { kind, text, line } of textsOf(file, source)) {
    for (const { found, instead } of findWordings(text, { isParagraph: false, file })) {
      findings.push({ file, line, message: `${kind}: "${found}": write ${instead}` });
    }
    if (kind !== 'message') continue;
    const { messages } = await kernel.lintText(text, {
      filePath: file,
      ext: '.txt',
      plugins,
      rules: rules.slice(0, 1),
    });
    findings.push(...messages.map(({ message }) => ({ file, line, message: `${kind}: ${message.split('\n')[0]}` })));
  }
  return findings;
}

/** The files below a path, relative to the checkout. */
function filesBelow(given) {
  if (SKIPPED_FILES.includes(given)) return [];
  const absolute = path.join(root, given);
  if (!statSync(absolute).isDirectory()) return /\.(md|ts|tsx|js)$/.test(given) ? [given] : [];
  const names = readdirSync(absolute).filter((name) => !SKIPPED_FOLDERS.includes(name));
  return names.flatMap((name) => filesBelow(path.join(given, name)));
}

async function main(asked) {
  const paths = (asked.length === 0 ? ['.'] : asked).map((given) => path.relative(root, path.resolve(given)) || '.');
  const files = paths.flatMap(filesBelow).map((file) => file.replaceAll(path.sep, '/'));
  const findings = [];
  for (const file of files) {
    const text = readFileSync(path.join(root, file), 'utf8');
    findings.push(...(await (file.endsWith('.md') ? lintMarkdown(file, text) : lintSource(file, text))));
  }
  for (const { file, line, message } of findings) console.log(`${file}:${line}: ${message}`);
  console.error(`${files.length} files, ${findings.length} findings`);
  if (findings.length > 0) process.exitCode = 1;
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
