// Who may import whom, as data (CONTRIBUTING.md, "Who may import whom"). Paths are regular expressions over the files of the
// checkout. A room that may import a package's folder may also import that package by its name. Inside the toolkit, nothing
// points back towards the entry point.
const { readdirSync, readFileSync } = require('node:fs');
const path = require('node:path');

const FLEET = '^packages/fleet/src';

const foldersIn = (parent) => readdirSync(path.join(__dirname, parent)).map((name) => `${parent}/${name}`);
const readManifest = (folder) => JSON.parse(readFileSync(path.join(__dirname, folder, 'package.json'), 'utf8'));

/** Every package of the checkout: its name and its folder. */
exports.WORKSPACES = [...foldersIn('packages'), ...foldersIn('services'), 'prisma'].map((folder) => ({
  name: readManifest(folder).name,
  folder,
}));

/** The npm packages that tests, benchmarks and configuration files of the checkout may import. */
exports.DECLARED_AT_ROOT = Object.keys(readManifest('.').devDependencies);

exports.ROOMS = [
  { name: 'core', path: '^packages/core/src', mayImport: [] },
  { name: 'code', path: '^packages/code/src', mayImport: ['^packages/core'] },
  { name: 'migrate', path: '^packages/migrate/src', mayImport: ['^packages/core'] },
  { name: 'events', path: '^packages/events/src', mayImport: ['^packages/core'] },
  { name: 'import', path: '^packages/import/src', mayImport: ['^packages/(core|migrate)'] },
  {
    name: 'flows',
    path: '^packages/flows/src',
    mayImport: ['^packages/(core|events)', '^services/[^/]+/src/index\\.ts$'],
  },
  { name: 'fleet-system', path: `${FLEET}/system`, mayImport: ['^packages/core'] },
  { name: 'fleet-config', path: `${FLEET}/config`, mayImport: ['^packages/core', `${FLEET}/system`] },
  { name: 'fleet-schema', path: `${FLEET}/schema`, mayImport: ['^packages/(core|migrate)', `${FLEET}/config`] },
  {
    name: 'fleet-postgres',
    path: `${FLEET}/postgres`,
    mayImport: ['^packages/(core|migrate)', `${FLEET}/(system|config|schema)`],
  },
  {
    name: 'fleet-backup-store',
    path: `${FLEET}/backup-store`,
    mayImport: ['^packages/(core|migrate)', `${FLEET}/(system|config|schema)`],
  },
  {
    name: 'fleet-operations',
    path: `${FLEET}/operations`,
    mayImport: ['^packages/(core|events|import|migrate)', `${FLEET}/(system|postgres|backup-store|config|schema)`],
  },
  {
    name: 'fleet-studio',
    path: `${FLEET}/studio`,
    mayImport: ['^packages/(core|migrate|studio)', `${FLEET}/(operations|config|schema|system)`],
  },
  {
    name: 'fleet-render',
    path: `${FLEET}/render`,
    mayImport: ['^packages/(core|import|migrate)', `${FLEET}/(system|operations|postgres|config|schema)`],
  },
  {
    name: 'fleet-commands',
    path: `${FLEET}/commands`,
    mayImport: ['^packages/(core|migrate)', `${FLEET}/(system|operations|render|backup-store|studio|config|schema)`],
  },
  { name: 'fleet-entry', path: `${FLEET}/(bin|index)\\.ts$`, mayImport: ['^packages/(core|migrate)', `${FLEET}/`] },
  { name: 'studio', path: '^packages/studio/src', mayImport: [] },
  { name: 'testkit', path: '^packages/testkit/src', mayImport: ['^packages/(core|migrate|fleet)'] },
  { name: 'seed', path: '^prisma/', mayImport: ['^packages/core', '^services/[^/]+/(seed|src/index)\\.'] },
  ...foldersIn('services').map((folder) => ({
    name: folder.replace('services/', 'service-'),
    path: `^${folder}/(src|seed)`,
    // An index of a tree needs code that reads trees. The package is optional: who only searches does not install a compiler.
    mayImport: ['^packages/core', ...(folder === 'services/rag' ? ['^packages/code'] : []), `^${folder}/`],
  })),
];
