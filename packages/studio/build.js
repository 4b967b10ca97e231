// Builds the page into dist: env.js, page.js, page.css, lazy chunks and the licenses of the bundled packages.
const { copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const esbuild = require('esbuild');
const { lazyElk, patchStudio } = require('./build-patches');

const SOURCE = path.join(__dirname, 'src');
const DIST = path.join(__dirname, 'dist');
const STUDIO = path.join(path.dirname(require.resolve('@prisma/studio-core/ui')), '../..');

function clean() {
  mkdirSync(DIST, { recursive: true });
  for (const entry of readdirSync(DIST, { withFileTypes: true })) {
    if (entry.isFile() && !entry.name.endsWith('.tsbuildinfo')) rmSync(path.join(DIST, entry.name));
  }
}

function copy() {
  copyFileSync(path.join(SOURCE, 'env.js'), path.join(DIST, 'env.js'));
  copyFileSync(path.join(STUDIO, 'NOTICE'), path.join(DIST, 'NOTICE'));
  copyFileSync(path.join(STUDIO, 'LICENSE'), path.join(DIST, 'LICENSE'));
  // The browser gets ES modules; the package itself is CommonJS.
  writeFileSync(path.join(DIST, 'package.json'), `${JSON.stringify({ type: 'module' })}\n`);
}

async function build() {
  clean();
  await esbuild.build({
    entryPoints: [path.join(SOURCE, 'page.tsx')],
    outdir: DIST,
    splitting: true,
    chunkNames: 'chunk-[hash]',
    plugins: [lazyElk, patchStudio],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    jsx: 'automatic',
    legalComments: 'linked',
    logLevel: 'warning',
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  copy();
}

build().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
