// `seed --scale 10` against psql's \copy of the same rows from files, into databases that have the same base seed.
const {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { Client } = require('pg');
const { hostOf, median, peakMemoryMib, seconds, withDatabase } = require('./measure.js');

const SCALE = 10;
const BLOCK_USERS = 1_000;

exports.run = async ({ root, home, url, hasVector }) => {
  const bin = path.join(root, 'packages', 'fleet', 'bin', 'azora-db.js');
  const services = readdirSync(path.join(root, 'services')).filter((name) => hasVector || name !== 'rag');
  const azora = (prefix, ...args) => {
    const env = { ...process.env, DATABASE_URL: url, AZORA_HOME: home, AZORA_DB_PREFIX: prefix };
    return [process.execPath, [bin, ...args, '--service', services.join(',')], { cwd: root, env }];
  };
  const reset = (prefix) => {
    seconds(...azora(prefix, 'setup', '--no-build'));
    seconds(...azora(prefix, 'reset', '--confirm', hostOf(url)));
    seconds(...azora(prefix, 'seed'));
  };
  const files = mkdtempSync(path.join(os.tmpdir(), 'azora-bench-rows-'));
  // The encoders of the rows need the tables.
  reset('benchp_');
  const { scripts, rows } = await exportRows(root, services, files, url);
  const ours = median(
    3,
    () => seconds(...azora('benchs_', 'seed', '--scale', String(SCALE))),
    () => reset('benchs_'),
  );
  const peer = median(
    3,
    () =>
      scripts.reduce(
        (sum, { database, script }) =>
          sum +
          seconds('psql', [
            '-X',
            '-q',
            '-v',
            'ON_ERROR_STOP=1',
            '-d',
            withDatabase(url, `benchp_${database}`),
            '-f',
            script,
          ]),
        0,
      ),
    () => reset('benchp_'),
  );
  reset('benchs_');
  const memory = peakMemoryMib(...azora('benchs_', 'seed', '--scale', String(SCALE)));
  rmSync(files, { recursive: true });
  const rate = (time) => `${Math.round(rows / time).toLocaleString('en')} rows/s`;
  const result = [
    {
      what: `seed --scale ${SCALE}, ${rows.toLocaleString('en')} rows, references checked`,
      ours: rate(ours),
      peer: `${rate(peer)} (psql \\copy, one database after the other)`,
      ratio: (peer / ours).toFixed(2),
      budget: '≥ 0.7',
    },
  ];
  if (memory !== undefined)
    result.push({
      what: 'seed, resident (largest process)',
      ours: `${memory} MiB`,
      peer: '',
      ratio: '',
      budget: '≤ 400 MiB',
    });
  return result;
};

/** Writes the rows of all blocks as COPY text, one file per block and table, and one psql script per service. */
async function exportRows(root, services, files, url) {
  const { copyText, readEncoders } = require(path.join(root, 'packages', 'core', 'dist', 'bulk.js'));
  const now = new Date(new Date().toISOString().slice(0, 10));
  let rows = 0;
  const scripts = [];
  for (const name of services) {
    const { seed } = require(`@azora/${name}/seed`);
    const manifest = JSON.parse(readFileSync(path.join(root, 'services', name, 'package.json'), 'utf8'));
    const database = manifest.azora.database.replace('azora_', '');
    const client = new Client(withDatabase(url, `benchp_${database}`));
    await client.connect();
    const lines = [];
    for (let firstUser = 0; firstUser < SCALE * 1_000; firstUser += BLOCK_USERS) {
      lines.push('BEGIN;');
      for (const { table, columns, rows: made } of seed.volume({ firstUser, userCount: BLOCK_USERS, now })) {
        const file = path.join(files, `${name}-${table}-${firstUser}.copy`);
        const handle = openSync(file, 'w');
        const encoders = await readEncoders(client, table, columns);
        const counting = counted(made, () => (rows += 1));
        for (const chunk of copyText(counting, encoders)) writeSync(handle, chunk);
        closeSync(handle);
        lines.push(`\\copy "${table}" (${columns.map((column) => `"${column}"`).join(', ')}) from '${file}'`);
      }
      lines.push('COMMIT;');
    }
    const script = path.join(files, `${name}.sql`);
    writeFileSync(script, lines.join('\n'));
    await client.end();
    scripts.push({ database, script });
  }
  return { scripts, rows };
}

function* counted(rows, count) {
  for (const row of rows) {
    count();
    yield row;
  }
}
