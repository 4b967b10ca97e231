// The import table (CONTRIBUTING.md, «Who may import whom»). Paths are regular expressions over files of the checkout;
// workspace packages resolve to their own folders. Inside the toolkit nothing points back towards the entry.
const FLEET = '^packages/fleet/src';

exports.ROOMS = [
  { name: 'core', path: '^packages/core/src', mayImport: [] },
  { name: 'migrate', path: '^packages/migrate/src', mayImport: ['^packages/core'] },
  { name: 'fleet-system', path: `${FLEET}/system`, mayImport: ['^packages/core'] },
  { name: 'fleet-config', path: `${FLEET}/config`, mayImport: ['^packages/core', `${FLEET}/system`] },
  { name: 'fleet-schema', path: `${FLEET}/schema`, mayImport: ['^packages/core', `${FLEET}/config`] },
  {
    name: 'fleet-postgres',
    path: `${FLEET}/postgres`,
    mayImport: ['^packages/(core|migrate)', `${FLEET}/(system|config|schema)`],
  },
  {
    name: 'fleet-backup-store',
    path: `${FLEET}/backup-store`,
    mayImport: ['^packages/(core|migrate)', `${FLEET}/(system|postgres|config|schema)`],
  },
  {
    name: 'fleet-operations',
    path: `${FLEET}/operations`,
    mayImport: ['^packages/(core|migrate)', `${FLEET}/(system|postgres|backup-store|config|schema)`],
  },
  {
    name: 'fleet-studio',
    path: `${FLEET}/studio`,
    mayImport: ['^packages/(core|migrate)', `${FLEET}/(system|operations|config|schema)`],
  },
  {
    name: 'fleet-render',
    path: `${FLEET}/render`,
    mayImport: ['^packages/(core|migrate)', `${FLEET}/(operations|postgres|config|schema)`],
  },
  {
    name: 'fleet-commands',
    path: `${FLEET}/commands`,
    mayImport: ['^packages/(core|migrate)', `${FLEET}/(operations|render|backup-store|studio|config|schema)`],
  },
  { name: 'fleet-entry', path: `${FLEET}/(bin|index)\\.ts$`, mayImport: ['^packages/core', `${FLEET}/`] },
  { name: 'studio', path: '^packages/studio/src', mayImport: [] },
  { name: 'testkit', path: '^packages/testkit/src', mayImport: ['^packages/(core|migrate|fleet)'] },
  { name: 'seed', path: '^prisma/', mayImport: ['^packages/core', '^services/[^/]+/(seed|src/index)\\.'] },
  ...require('node:fs')
    .readdirSync(`${__dirname}/services`)
    .map((name) => ({
      name: `service-${name}`,
      path: `^services/${name}/(src|seed)`,
      mayImport: ['^packages/core', `^services/${name}/`],
    })),
];
