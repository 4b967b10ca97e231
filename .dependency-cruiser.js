// Who may import whom, as data: each entry names a room, what it may reach besides itself, and what of npm and Node.
// tests/imports.test.ts walks the imports with it and shows that each edge that is not listed is refused.
const { ROOMS } = require('./imports.config.js');

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    ...ROOMS.map(({ name, path, mayImport }) => ({
      name: `${name}-imports-only-what-it-may`,
      severity: 'error',
      from: { path },
      to: { pathNot: [path, ...mayImport, '(^|/)node_modules/', '^(node:)?[a-z_/]+$'] },
    })),
  ],
  options: {
    tsPreCompilationDeps: true,
    combinedDependencies: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|generated)/' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['types', 'require'] },
  },
};
