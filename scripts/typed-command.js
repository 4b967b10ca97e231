// The command that a person typed, for hints that can be typed as printed.
const path = require('node:path');

const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);

/** `npm run db:backup -- --fence`, or the call of a script of this folder. */
function typedCommand({ argv, env, cwd }) {
  const { npm_lifecycle_event: script, npm_lifecycle_script: text } = env;
  if (script === undefined || text === undefined) {
    return ['node', path.relative(cwd(), argv[1]), ...argv.slice(2)].map(quoted).join(' ');
  }
  const npm = ['start', 'test'].includes(script) ? ['npm', script] : ['npm', 'run', script];
  // npm appends the arguments of the call to the words of the script: node, its file, and arguments.
  const given = argv.slice(text.split(' ').length);
  return [...npm, ...(given.length === 0 ? [] : ['--', ...given])].map(quoted).join(' ');
}

module.exports = { typedCommand };
