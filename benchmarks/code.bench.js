// Reads the TypeScript of this checkout: the syntactic pass beside tree-sitter alone, the semantic edges beside scip-typescript, which
// is installed into the folder of the run, and the update after a change of one file.
const { execFileSync } = require('node:child_process');
const { mkdirSync, readFileSync } = require('node:fs');
const path = require('node:path');
const { middle, rateRow, seconds } = require('./measure.js');

const SCIP = '@sourcegraph/scip-typescript@0.4.0';
/** The package whose semantic edges both find. */
const PROJECT = 'packages/fleet';
/** The files of the semantic graph. */
const SOURCES = /^packages\/[^/]+\/src\//;
/** A file on which most others depend. */
const CHANGED = 'packages/core/src/errors.ts';

exports.run = async function* ({ root, home, runs }) {
  const code = require('@azora/code');
  const files = await sourcesOf(root, code);
  const lines = countLines(files);
  const parse = await parserOf('tree-sitter-typescript/tree-sitter-typescript.wasm');

  // Load on the machine affects both alike, because they take turns. The first turn compiles the code and is not counted.
  const turns = { ours: [], peer: [] };
  for (let run = 0; run <= runs; run += 1) {
    turns.ours.push(await timed(() => readAll(code, files)));
    turns.peer.push(
      await timed(() => {
        for (const { text } of files) parse(text);
      }),
    );
  }
  const [ours, peer] = [turns.ours, turns.peer].map((times) => middle(times.slice(1)));
  yield rateRow(
    `read the symbols of ${lines.toLocaleString('en')} lines, one thread`,
    lines / ours,
    lines / peer,
    'tree-sitter, parsing only',
    '≥ 20,000 lines/s',
  );

  const facts = await readAll(code, files);
  yield await changeRow('resolve after a change of one file', files.length, runs, updaterOf(code, files, facts));
  const sources = facts.filter(({ path: file }) => SOURCES.test(file));
  const update = await semanticUpdaterOf(code, root, files, sources);
  yield await changeRow('semantic edges after a change that others do not see', sources.length, runs, update);
  yield await semanticRow(code, { root, home, runs });
};

async function semanticRow(code, { root, home, runs }) {
  const all = await sourcesOf(root, code);
  const files = all.filter(({ path: file }) => file.startsWith(`${PROJECT}/src/`));
  const scip = installScip(home);
  const project = path.join(root, PROJECT);
  const output = path.join(home, 'index.scip');
  const turns = { ours: [], peer: [] };
  for (let run = 0; run < Math.min(runs, 3); run += 1) {
    turns.ours.push(
      await timed(async () => {
        const facts = await readAll(code, files);
        await code.readSemanticEdges(root, withTexts(files, facts));
      }),
    );
    turns.peer.push(seconds(process.execPath, [scip, 'index', '--cwd', project, '--output', output]));
  }
  const lines = countLines(files);
  const rates = [lines / middle(turns.ours), lines / middle(turns.peer)];
  return rateRow(`symbols and semantic edges of ${PROJECT}, in lines`, ...rates, 'scip-typescript 0.4.0', '≥ 3×');
}

/** The time of an update; the budget needs no peer. */
async function changeRow(what, files, runs, update) {
  const times = [];
  for (let run = 0; run <= runs; run += 1) times.push(await timed(() => update(run)));
  const milliseconds = Math.round(middle(times.slice(1)) * 1_000);
  return { what: `${what}, of ${files}`, ours: `${milliseconds} ms`, peer: '', ratio: '', budget: '≤ 300 ms' };
}

const textOf = (files) => files.find(({ path: file }) => file === CHANGED).text;
/** Each run changes what the file shows to others. */
const changedText = (files, run) => `${textOf(files)}\nexport const change${run} = ${run};\n`;

function updaterOf(code, files, facts) {
  const graph = code.openCodeGraph();
  graph.update({ changed: facts, removed: [] });
  return async (run) =>
    graph.update({ changed: [await code.readSymbols(CHANGED, changedText(files, run))], removed: [] });
}

async function semanticUpdaterOf(code, root, files, facts) {
  const graph = code.openSemanticGraph(root);
  await graph.update({ changed: withTexts(files, facts), removed: [] });
  return async (run) => {
    const text = `${textOf(files)}\n// Change ${run}\n`;
    return graph.update({ changed: [{ facts: await code.readSymbols(CHANGED, text), text }], removed: [] });
  };
}

async function sourcesOf(root, code) {
  const { files } = await code.walkTree(root);
  return files
    .filter(({ path: file }) => code.languageOf(file) === 'typescript')
    .map(({ path: file }) => ({ path: file, text: readFileSync(path.join(root, file), 'utf8') }));
}

async function readAll(code, files) {
  const facts = [];
  for (const { path: file, text } of files) facts.push(await code.readSymbols(file, text));
  return facts;
}

function withTexts(files, facts) {
  const texts = new Map(files.map(({ path: file, text }) => [file, text]));
  return facts.map((own) => ({ facts: own, text: texts.get(own.path) }));
}
const countLines = (files) => files.reduce((sum, { text }) => sum + text.split('\n').length, 0);

async function timed(work) {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1_000;
}

/** Parses with tree-sitter and frees the tree. */
async function parserOf(file) {
  const { Language, Parser } = require('web-tree-sitter');
  await Parser.init();
  const parser = new Parser();
  parser.setLanguage(await Language.load(readFileSync(require.resolve(file))));
  return (text) => parser.parse(text).delete();
}

/** Installs scip-typescript, which runs no scripts, beside nothing of the checkout. */
function installScip(home) {
  const folder = path.join(home, 'scip');
  mkdirSync(folder, { recursive: true });
  execFileSync('npm', ['install', '--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund', SCIP], {
    stdio: 'ignore',
  });
  return path.join(folder, 'node_modules', '@sourcegraph', 'scip-typescript', 'dist', 'src', 'main.js');
}
