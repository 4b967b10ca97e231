// `npm run bench [-- name…]`: each benchmark runs our code and a named peer on the same server in the same run and prints their
// ratio, so that a slow machine does not change the result. With BENCH_DATABASE_URL the benchmarks use that server, which needs
// pgvector for all services; otherwise they start an embedded server of their own with fsync on.
const { mkdtempSync, readdirSync, rmSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const root = '/work/wt-x';
const RUNS = 1;

async function main() {
  const asked = process.argv.slice(2);
  const names = readdirSync('/work/wt-x/benchmarks')
    .filter((file) => file.endsWith('.bench.js'))
    .map((file) => file.replace('.bench.js', ''));
  const home = mkdtempSync(path.join(os.tmpdir(), 'azora-bench-'));
  const { startEmbedded, stopEmbedded } = require('@azora/db-fleet');
  const given = process.env.BENCH_DATABASE_URL;
  try {
    const url = given ?? (await startEmbedded({ home })).url.href;
    console.log(
      `Node ${process.version}, ${os.availableParallelism()} cores, ${given ? 'the server of BENCH_DATABASE_URL' : 'embedded server, fsync on'}; medians of ${RUNS}\n`,
    );
    console.log('| what | ours | peer | ratio | budget |\n|---|---|---|---|---|');
    for (const name of names.filter((it) => asked.length === 0 || asked.includes(it))) {
      const { run } = require(`/work/wt-x/benchmarks/${name}.bench.js`);
      // A row is printed when it is measured, so that a benchmark that fails later has not measured for nothing.
      for await (const row of await run({ root, home, url, runs: RUNS, hasVector: given !== undefined })) {
        console.log(`| ${[row.what, row.ours, row.peer, row.ratio, row.budget].join(' | ')} |`);
      }
    }
  } finally {
    await stopEmbedded({ home }).catch(() => undefined);
    rmSync(home, { recursive: true, force: true });
  }
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
