// Measures the generation of all clients without a cache, and again when no schema changed.
const { readdirSync, rmSync } = require('node:fs');
const path = require('node:path');
const { median, seconds } = require('./measure.js');

exports.run = ({ root, runs }) => {
  const bin = path.join(root, 'packages', 'fleet', 'bin', 'azora-db.js');
  const services = readdirSync(path.join(root, 'services'));
  const generate = (env) =>
    seconds(process.execPath, [bin, 'generate'], { cwd: root, env: { ...process.env, ...env } });
  const cold = () => {
    for (const name of services)
      rmSync(path.join(root, 'services', name, 'src', 'generated'), { recursive: true, force: true });
  };
  const first = median(3, () => generate({ NX_SKIP_NX_CACHE: 'true' }), cold);
  const again = median(runs, () => generate({}));
  const prisma = path.join(root, 'node_modules', 'prisma', 'build', 'index.js');
  const one = median(3, () =>
    seconds(process.execPath, [prisma, 'generate'], { cwd: path.join(root, 'services', 'mint') }),
  );
  return [
    {
      what: `generate ${services.length} clients from cold`,
      ours: `${first.toFixed(1)} s`,
      peer: `${(one * services.length).toFixed(1)} s (prisma generate, ${services.length} times)`,
      ratio: (first / (one * services.length)).toFixed(2),
      budget: '≤ 12 s',
    },
    {
      what: 'generate, no schema changed',
      ours: `${again.toFixed(2)} s`,
      peer: `${one.toFixed(2)} s (prisma generate, once)`,
      ratio: (again / one).toFixed(2),
      budget: 'nothing redone',
    },
  ];
};
