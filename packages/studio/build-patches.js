// Patches that the build applies to @prisma/studio-core, whose exact version is pinned. A patch that does not match
// exactly once stops the build: the package has changed, and the patch must be reviewed.
const { readFileSync } = require('node:fs');
const path = require('node:path');

const PATCHES = [
  {
    // Studio is read-only for tables without a primary key. This adds a global switch, and keeps viewers and links.
    find: /!Object\.values\((\w+)\?\.columns\?\?\{\}\)\.some\((\w+)=>\2\.pkPosition!=null\)/g,
    replace: (match) => `(globalThis.__studioReadOnly||${match})`,
  },
  {
    find: /disabled:(\w+>0),children:"Insert row"/g,
    replace: (_match, condition) => `disabled:globalThis.__studioReadOnly||${condition},children:"Insert row"`,
  },
  {
    // Without a primary key, all rows of a page get the same id and collapse into one. The adapter gives them a key.
    find: /let (\w+)=\{filter:(\w+)\((\w+),(\w+)\.columns\),table:/g,
    replace: (_match, name, filter, row, table) =>
      `let ${name}={key:${row}.__ps_key,filter:${filter}(${row},${table}.columns),table:`,
  },
  {
    // Studio's editors change values: they read numbers and documents as JavaScript does, and cut texts into one line.
    // The page has an editor of its own. Studio's hook for the popover around it has another name in each version.
    find: /(\w+)=(\w+)\.getValue\(\);return (\w+)\|\|(\w+)==="json"\?(\w+)\(/g,
    replace: (_match, value, cell, isArray, group, jsx, _offset, source) =>
      `${value}=${cell}.getValue();if(globalThis.__studioValueInput)return ${jsx}(globalThis.__studioValueInput,` +
      `{...arguments[0],value:${value},readonly:arguments[0].readonly||arguments[0].column.isAutoincrement||` +
      `arguments[0].column.isComputed,usePopoverActions:${popoverHook(source)}});` +
      `return ${isArray}||${group}==="json"?${jsx}(`,
  },
  {
    // A filter on a numeric column compares with the number as it was typed.
    find: /(\w+)==="numeric"\?(\w+)===""\?null:Number\(\2\):\2/g,
    replace: (_match, group, text) => `${group}==="numeric"&&${text}===""?null:${text}`,
  },
];

/** The name of Studio's hook that every editor of a cell calls. */
function popoverHook(source) {
  const names = new Set([...source.matchAll(/handleKeyDown:\w+\}=(\w+)\(\{onNavigate:/g)].map(([, name]) => name));
  if (names.size !== 1)
    throw new Error(`@prisma/studio-core has changed: ${names.size} hooks for the editors of cells`);
  return [...names][0];
}

const SOURCE_MAP = '\n//# sourceMappingURL=';

function patched(file) {
  const text = readFileSync(file, 'utf8');
  const map = text.lastIndexOf(SOURCE_MAP);
  return PATCHES.reduce(
    (source, { find, replace }) => {
      const matches = source.match(find)?.length ?? 0;
      if (matches !== 1) throw new Error(`@prisma/studio-core has changed: ${find} matches ${matches} times, not once`);
      return source.replace(find, replace);
    },
    map === -1 ? text : text.slice(0, map),
  );
}

exports.patchStudio = {
  name: 'patch-studio',
  setup(build) {
    build.onLoad({ filter: /@prisma[\\/]studio-core[\\/]dist[\\/]ui[\\/]index\.js$/ }, ({ path: file }) => ({
      contents: patched(file),
      loader: 'js',
    }));
  },
};

// elkjs is more than a third of the bundle, and only diagrams need it. It is loaded for the first layout.
exports.lazyElk = {
  name: 'lazy-elk',
  setup(build) {
    build.onResolve({ filter: /^elkjs\/lib\/elk\.bundled\.js$/ }, ({ importer }) =>
      importer.endsWith('lazy-elk.js')
        ? { path: require.resolve('elkjs/lib/elk.bundled.js') }
        : { path: path.join(__dirname, 'src/models/lazy-elk.js') },
    );
  },
};
