// The rules for imports. imports.config.js holds the table of who may import whom; the manifests of the packages say which
// npm packages each of them may import. tests/imports.test.ts proves that every rule rejects what it should.
const { DECLARED_AT_ROOT, ROOMS, WORKSPACES } = require('./imports.config.js');

/** Files that never reach an installed package: they may also import what the root manifest declares. */
const CHECKOUT_ONLY = '(^|/)tests/|^services/[^/]+/prisma\\.config\\.ts$';
/** Packages that are never installed as a dependency, or whose build bundles its imports into `dist`. */
const PRIVATE = '^(packages/studio|packages/testkit|prisma|tests|benchmarks|prose|scripts)/';

/** Matches the workspace packages whose entry point a room may import, as `node_modules/@azora/…`. */
function packagesWithin(mayImport) {
  const allowed = mayImport.map((pattern) => new RegExp(pattern));
  const isAllowed = ({ folder }) => allowed.some((pattern) => pattern.test(`${folder}/src/index.ts`));
  return WORKSPACES.filter(isAllowed).map(({ name }) => `^node_modules/${name}/`);
}

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-unresolvable-import', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-undeclared-import',
      comment:
        "The package's own package.json must declare what its code imports: its siblings are not installed with it.",
      severity: 'error',
      from: { pathNot: CHECKOUT_ONLY },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['npm-peer'] },
    },
    {
      name: 'no-undeclared-import-in-tests',
      severity: 'error',
      from: { path: CHECKOUT_ONLY },
      to: {
        dependencyTypes: ['npm-no-pkg', 'npm-unknown'],
        pathNot: `(^|/)node_modules/(${DECLARED_AT_ROOT.join('|')})/`,
      },
    },
    {
      name: 'no-dev-dependency-in-shipped-code',
      comment: '"npm install --omit=dev" leaves development dependencies out.',
      severity: 'error',
      from: { pathNot: `${CHECKOUT_ONLY}|${PRIVATE}` },
      to: { dependencyTypes: ['npm-dev'] },
    },
    ...ROOMS.map(({ name, path, mayImport }) => ({
      name: `${name}-imports-only-what-it-may`,
      severity: 'error',
      from: { path },
      to: {
        pathNot: [
          path,
          ...mayImport,
          ...packagesWithin(mayImport),
          '(^|/)node_modules/(?!@azora/)',
          '(^|/)generated/',
          '^(node:)?[a-z_/]+[0-9]?$',
        ],
      },
    })),
  ],
  options: {
    tsPreCompilationDeps: true,
    // Combined with the manifest at the root, every package would seem to declare what the root declares.
    combinedDependencies: false,
    // Resolved to its folder, a workspace package would be a local file, which no manifest has to declare.
    preserveSymlinks: true,
    exoticRequireStrings: ['require.resolve'],
    doNotFollow: { path: '(^|/)(node_modules|dist|generated)/' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['types', 'require'] },
  },
};
