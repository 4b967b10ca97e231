// Search among clustered chunks beside pgbench that runs the same SQL, chunks loaded beside COPY of the same rows, and what a change can
// change in a graph with 200,000 edges. RAG_CHUNKS is the number of chunks that are searched.
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { middle, rateOf, rateRow, takeTurns } = require('./measure.js');
const { pgbench } = require('./pgbench.js');
const { withServiceDatabase } = require('./service-database.js');

const CHUNKS = Number(process.env.RAG_CHUNKS ?? 50_000);
const CLUSTERS = 211;
const CLIENTS = 4;
const ROWS_PER_STATEMENT = 500;
const LOADED = 1_000;
const NODES = 40_000;
const EDGES = 200_000;
const DEPTH = 5;
const QUERIES = 100;

exports.run = ({ runs, seconds = 3, root, ...context }) => {
  if (!context.hasVector) {
    console.error('rag is left out: it needs a server with pgvector in BENCH_DATABASE_URL');
    return [];
  }
  return withServiceDatabase({ root, ...context }, 'rag', (urls) => measure(urls, { runs, seconds, root }));
};

async function* measure({ app, admin }, { runs, seconds, root }) {
  const { openRag } = require('@azora/rag');
  const options = { slowQueryMs: 600_000, pool: { statementTimeoutMs: 3_600_000 } };
  const [rag, administrator] = [openRag({ url: app, ...options }), openRag({ url: admin, ...options })];
  try {
    for (const dimension of [768, 1536]) {
      yield* searchRows(rag, administrator, { app, dimension, runs, seconds, root });
      if (dimension === 768) yield await loadRow(rag, administrator, { admin, dimension, runs });
      await administrator.pool.query('TRUNCATE rag_chunks');
    }
    yield await impactRow(rag, administrator);
  } finally {
    await Promise.all([rag.close(), administrator.close()]);
  }
}

async function* searchRows(rag, administrator, { app, dimension, runs, seconds, root }) {
  const { measureRecall, search } = require('@azora/rag');
  const { planOf } = require(path.join(root, 'services', 'rag', 'dist', 'src', 'search.store.js'));
  const { searchStatement } = require(path.join(root, 'services', 'rag', 'dist', 'src', 'search', 'statement.js'));
  await fill(administrator, dimension);
  const model = `bench-${dimension}`;
  const vectorOf = clusterMaker(dimension, 11);
  const queries = Array.from({ length: QUERIES }, (_, n) => ({ vector: vectorOf(n), model }));
  const filtered = queries.map((query) => ({ ...query, contentType: 'Half' }));
  const { mean, worst } = await measureRecall(rag, { model, dimension, sample: QUERIES });
  const index = (await rag.vectorIndexes.list()).find((it) => it.dimension === dimension);
  for (const [what, inputs] of [
    ['', queries],
    [', filter of 50 %', filtered],
  ]) {
    const { text, values } = searchStatement(await planOf(rag, inputs[0]));
    const script = `${text.replace(/\s+/g, ' ').replace(/\$(\d+)/g, ':p$1')};`;
    const variables = Object.fromEntries(values.map((value, n) => [`p${n + 1}`, value]));
    const times = [];
    const rates = await takeTurns(runs, {
      ours: async () => {
        const { perSecond } = await rateOf({ clients: CLIENTS, seconds }, async (client, turn) => {
          const started = process.hrtime.bigint();
          await search(rag, inputs[(client * 25 + turn) % QUERIES]);
          times.push(Number(process.hrtime.bigint() - started) / 1e6);
        });
        return perSecond;
      },
      peer: () => pgbench(app, { script, clients: CLIENTS, seconds, variables }).perSecond,
    });
    const at = (share) => times.toSorted((one, other) => one - other)[Math.floor(times.length * share)]?.toFixed(1);
    const facts = `p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, recall@10 ${mean.toFixed(3)}, worst ${worst.toFixed(1)}`;
    const size = `${Math.round(index.bytes / 2 ** 20)} MiB`;
    const label = `search, ${CHUNKS.toLocaleString('en')} × ${dimension}${what}, ${CLIENTS} clients (${facts}, index ${size})`;
    yield rateRow(label, rates.ours, rates.peer, 'pgbench, the same SQL', '≥ 0.7');
  }
}

/** The index is built after the rows are there, which is faster. */
async function fill({ pool }, dimension) {
  const vectorOf = clusterMaker(dimension, 3);
  const { rows } = await pool.query(
    `SELECT indexname AS name, indexdef AS sql FROM pg_indexes WHERE tablename = 'rag_chunks' AND indexdef LIKE '%(${dimension})%'`,
  );
  for (const { name } of rows) await pool.query(`DROP INDEX ${name}`);
  for (let first = 0; first < CHUNKS; first += ROWS_PER_STATEMENT) {
    const numbers = Array.from({ length: Math.min(ROWS_PER_STATEMENT, CHUNKS - first) }, (_, at) => first + at);
    await pool.query(
      `INSERT INTO rag_chunks (content_id, chunk_index, content, embedding, embedding_dimension, embedding_model, content_type)
       SELECT 'bench' || n, 0, 'text ' || n, embedding::vector, ${dimension}, 'bench-${dimension}',
         CASE n % 2 WHEN 0 THEN 'Half' ELSE 'Rest' END
       FROM unnest($1::int[], $2::text[]) AS chunk (n, embedding)`,
      [numbers, numbers.map((n) => JSON.stringify(vectorOf(n)))],
    );
  }
  const client = await pool.connect();
  try {
    await client.query("SET maintenance_work_mem = '1GB'");
    for (const { sql } of rows) await client.query(sql);
    await client.query('RESET maintenance_work_mem');
  } finally {
    client.release();
  }
  await pool.query('VACUUM ANALYZE rag_chunks');
}

/** Vectors around random centers, the same on every run. */
function clusterMaker(dimension, seed) {
  let state = seed;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const normal = () => random() + random() + random() - 1.5;
  // The centers are those of every seed.
  const given = state;
  state = 1;
  const centers = Array.from({ length: CLUSTERS }, () => Array.from({ length: dimension }, normal));
  state = given;
  return (n) => centers[n % CLUSTERS].map((center) => Number((center + 0.4 * normal()).toFixed(4)));
}

/** Both ways write the same rows into the table with its indexes; the embeddings are there already. */
async function loadRow(rag, administrator, { admin, dimension, runs }) {
  const { putContents, registerWorkspace, removeWorkspace } = require('@azora/rag');
  const vectorOf = clusterMaker(dimension, 5);
  const vectors = Array.from({ length: LOADED }, (_, n) => vectorOf(n));
  let run = 0;
  const provider = {
    ...{ model: `bench-${dimension}`, dimension },
    embed: async (texts) => texts.map((text) => vectors[Number(text.split(' ')[1])]),
  };
  const texts = () => Array.from({ length: LOADED }, (_, n) => `text ${n} of run ${run}`);
  const perSecond = (started) => (LOADED * 1e9) / Number(process.hrtime.bigint() - started);
  const rates = await takeTurns(
    runs,
    {
      ours: async () => {
        const { id: workspaceId } = await registerWorkspace(rag, { path: '/bench' });
        const contents = texts().map((text, n) => ({ contentId: `load${n}`, chunks: [{ text }] }));
        const started = process.hrtime.bigint();
        await putContents(rag, { workspaceId, provider, contents });
        const rate = perSecond(started);
        await removeWorkspace(rag, { workspaceId });
        return rate;
      },
      peer: async () => {
        const lines = texts().map(
          (text, n) => `load${n}\t0\t${text}\t${JSON.stringify(vectors[n])}\t${dimension}\t${provider.model}`,
        );
        const copy =
          'COPY rag_chunks (content_id, chunk_index, content, embedding, embedding_dimension, embedding_model) FROM STDIN';
        const started = process.hrtime.bigint();
        const { status, stderr } = spawnSync('psql', [admin, '-qc', copy], {
          input: `${lines.join('\n')}\n`,
          encoding: 'utf8',
        });
        if (status !== 0) throw new Error(`psql failed: ${stderr}`);
        const rate = perSecond(started);
        await administrator.pool.query("DELETE FROM rag_chunks WHERE content_id LIKE 'load%'");
        return rate;
      },
    },
    () => {
      run += 1;
    },
  );
  const what = `putContents, ${LOADED} chunks of ${dimension} dimensions among ${CHUNKS.toLocaleString('en')}`;
  return rateRow(what, rates.ours, rates.peer, 'COPY of the same rows by psql', '≥ 0.6');
}

/** A graph in which half of the edges lead to a twentieth of the nodes, as to helpers that everything calls. */
async function impactRow(rag, { pool }) {
  const { impact } = require('@azora/rag');
  await pool.query(
    `INSERT INTO code_nodes (name, fully_qualified_name, node_type, repository_path)
     SELECT 'f' || n, 'bench.f' || n, 'Function', '/bench' FROM generate_series(1, ${NODES}) AS n`,
  );
  await pool.query(
    `WITH nodes AS MATERIALIZED (SELECT id, row_number() OVER (ORDER BY id) AS n FROM code_nodes),
     pairs AS (
       SELECT n, 1 + (hashint8(n) & 2147483647) % ${NODES} AS source,
         1 + (hashint8(n + 1000000000) & 2147483647) % CASE n % 2 WHEN 0 THEN ${NODES} ELSE ${NODES / 20} END AS target
       FROM generate_series(1, ${EDGES}) AS n)
     INSERT INTO code_edges (source_node_id, target_node_id, edge_type)
     SELECT s.id, t.id, 'Calls' FROM pairs JOIN nodes AS s ON s.n = source JOIN nodes AS t ON t.n = target ON CONFLICT DO NOTHING`,
  );
  await pool.query('VACUUM ANALYZE code_nodes, code_edges');
  const { rows } = await pool.query(`SELECT id FROM code_nodes ORDER BY hashtext(id::text) LIMIT ${QUERIES}`);
  const sizes = [];
  const [ours, peer] = [[], []];
  const recursive = `WITH RECURSIVE reach (id, depth) AS (
      SELECT $1::uuid, 0 UNION SELECT e.source_node_id, depth + 1 FROM reach JOIN code_edges AS e ON e.target_node_id = reach.id
      WHERE depth < ${DEPTH} AND e.edge_type = 'Calls')
    SELECT n.*, r.depth FROM (SELECT id, min(depth) AS depth FROM reach GROUP BY id) AS r JOIN code_nodes AS n USING (id)
    WHERE r.depth > 0 ORDER BY r.depth, n.fully_qualified_name LIMIT 1001`;
  const timed = async (list, work) => {
    const started = process.hrtime.bigint();
    const result = await work();
    list.push(Number(process.hrtime.bigint() - started) / 1e6);
    return result;
  };
  for (const { id } of rows) {
    const { nodes } = await timed(ours, () => impact(rag, { nodeId: id, depth: DEPTH }));
    sizes.push(nodes.length);
    await timed(peer, () => pool.query(recursive, [id]));
  }
  const p95 = (times) => times.toSorted((one, other) => one - other)[Math.floor(times.length * 0.95)];
  return {
    what: `impact, depth ${DEPTH}, ${EDGES.toLocaleString('en')} edges (median ${middle(sizes)} nodes), p95, at most 50 ms`,
    ours: `${p95(ours).toFixed(1)} ms`,
    peer: `${p95(peer).toFixed(1)} ms (WITH RECURSIVE and a limit)`,
    ratio: (p95(ours) / p95(peer)).toFixed(2),
    budget: '≤ 1',
  };
}
