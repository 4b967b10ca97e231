// The import table (CONTRIBUTING.md, «Who may import whom»). Paths are regular expressions over files of the checkout;
// workspace packages resolve to their own folders. Inside the toolkit nothing points back towards the entry.
const FLEET = '^packages/fleet/src';

exports.ROOMS = [
  { name: 'core', path: '^packages/core/src', mayImport: [] },
  { name: 'fleet-suite', path: `${FLEET}/suite`, mayImport: ['^packages/core'] },
  { name: 'fleet-postgres', path: `${FLEET}/postgres`, mayImport: ['^packages/core', `${FLEET}/suite`] },
  { name: 'fleet-sets', path: `${FLEET}/sets`, mayImport: ['^packages/core', `${FLEET}/(postgres|suite)`] },
  {
    name: 'fleet-operations',
    path: `${FLEET}/operations`,
    mayImport: ['^packages/core', `${FLEET}/(postgres|sets|suite)`],
  },
  {
    name: 'fleet-studio',
    path: `${FLEET}/studio`,
    mayImport: ['^packages/core', `${FLEET}/(operations|suite)`],
  },
  {
    name: 'fleet-render',
    path: `${FLEET}/render`,
    mayImport: ['^packages/core', `${FLEET}/(operations|postgres|suite)`],
  },
  {
    name: 'fleet-commands',
    path: `${FLEET}/commands`,
    mayImport: ['^packages/core', `${FLEET}/(operations|render|sets|studio|suite)`],
  },
  { name: 'fleet-entry', path: `${FLEET}/(bin|index)\\.ts$`, mayImport: ['^packages/core', `${FLEET}/`] },
  { name: 'studio', path: '^packages/studio/src', mayImport: [] },
  { name: 'testkit', path: '^packages/testkit/src', mayImport: ['^packages/(core|fleet)'] },
  { name: 'seed', path: '^prisma/', mayImport: ['^packages/core', '^services/[^/]+/(seed|src/index)\\.'] },
  ...require('node:fs')
    .readdirSync(`${__dirname}/services`)
    .map((name) => ({
      name: `service-${name}`,
      path: `^services/${name}/(src|seed)`,
      mayImport: ['^packages/core', `^services/${name}/`],
    })),
];
