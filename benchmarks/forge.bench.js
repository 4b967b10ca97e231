// The search of jobs among few and among many: its cost must depend on the page, not on the number of jobs. The peer is the same
// search with as few jobs as the first step has, in the same database. FORGE_JOBS is the large number; 2,000,000 take several minutes.
// Then applications against an interactive transaction of Prisma; the triggers publish for both.
const { createHash, randomUUID } = require('node:crypto');
const { Client } = require('pg');
const { applyToJob, openForge, searchJobs } = require('@azora/forge');
const { besidePrisma, inTransaction } = require('./beside-prisma.js');
const { withServiceDatabase } = require('./service-database.js');

const FEW = 10_000;
const MANY = Number(process.env.FORGE_JOBS ?? 200_000);
const SEARCHES = 400;
const CHUNK = 100_000;

/** 1,000 words: the first are common and the last rare, as in a language; 60 skills and 20 categories alike. */
const FILL = `
  INSERT INTO jobs (id, employer_id, title, description, category, skills, budget, status, published_at, created_at)
  SELECT 'bench-' || n, 'boss-' || n % 1000, 'word' || picked.words[1] || ' word' || picked.words[2],
    (SELECT string_agg('word' || word, ' ') FROM unnest(picked.words) AS word), 'category' || floor(20 * random() ^ 2),
    ARRAY['skill' || floor(60 * random() ^ 2), 'skill' || floor(60 * random() ^ 2)], round((10 ^ (1 + 3 * random()))::numeric, 2),
    'open', now(), now()
  FROM generate_series($1::int, $2::int) AS n
  CROSS JOIN LATERAL (SELECT ARRAY(SELECT floor(1000 * random() ^ 3 + n * 0)::int FROM generate_series(1, 12)) AS words) AS picked`;

exports.run = ({ runs, seconds = 3, ...context }) =>
  withServiceDatabase(context, 'forge', async function* measure(urls) {
    yield* searchRows(urls);
    yield* applicationRows(urls, { runs, seconds });
  });

async function* searchRows(urls) {
  const admin = new Client(urls.admin);
  await admin.connect();
  const forge = openForge({ url: urls.app, pool: { max: 1 } });
  try {
    // The events of the jobs would only take time.
    await admin.query('ALTER TABLE jobs DISABLE TRIGGER zz_jobs_publish_posted');
    await admin.query('SELECT setseed(0.5)');
    await fill(admin, 1, FEW);
    const few = await latencies(forge);
    await fill(admin, FEW + 1, MANY);
    const many = await latencies(forge);
    for (const share of [0.5, 0.95]) {
      const [ours, peer] = [many, few].map((times) => times[Math.floor(times.length * share)]);
      yield {
        what: `a page of searchJobs among ${MANY.toLocaleString('en')} jobs, p${share * 100}`,
        ours: `${ours.toFixed(2)} ms`,
        peer: `${peer.toFixed(2)} ms (among ${FEW.toLocaleString('en')} jobs)`,
        ratio: (ours / peer).toFixed(2),
        budget: share === 0.95 ? '≤ 2' : '',
      };
    }
  } finally {
    await forge.close();
    await admin.end();
  }
}

async function fill(admin, first, last) {
  for (let from = first; from <= last; from += CHUNK) {
    await admin.query(FILL, [from, Math.min(from + CHUNK - 1, last)]);
  }
  await admin.query('VACUUM ANALYZE jobs');
}

/** The times of searches by words, skills, category and budget, in milliseconds, ascending. The searches are alike in each call. */
async function latencies(forge) {
  let state = 42;
  const random = () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
  const term = (word, count, power) => `${word}${Math.floor(count * random() ** power)}`;
  const inputs = Array.from({ length: SEARCHES }, (_, number) => ({
    limit: 20,
    ...(number % 4 === 3 ? {} : { text: term('word', 1000, 3) }),
    ...(number % 2 === 0 ? { skills: [term('skill', 60, 2)] } : {}),
    ...(number % 3 === 0 ? { category: term('category', 20, 2) } : {}),
    ...(number % 5 === 0 ? { minBudget: '50', maxBudget: '500' } : {}),
  }));
  for (const input of inputs.slice(0, 100)) await searchJobs(forge, input);
  const times = [];
  for (const input of inputs) {
    const started = process.hrtime.bigint();
    await searchJobs(forge, input);
    times.push(Number(process.hrtime.bigint() - started) / 1e6);
  }
  return times.sort((one, other) => one - other);
}

async function* applicationRows(urls, { runs, seconds }) {
  const [forge, administrator] = [openForge({ url: urls.app }), openForge({ url: urls.admin })];
  let made = 0;
  const next = () => {
    made += 1;
    const freelancerId = `freelancer-${made}`;
    return {
      jobId: `bench-${1 + (made % FEW)}`,
      freelancerId,
      coverLetter: 'I built three dashboards.',
      proposedAmount: '100',
    };
  };
  try {
    yield* besidePrisma({
      what: 'applyToJob',
      ours: () => applyToJob(forge, { ...next(), idempotencyKey: randomUUID() }),
      prisma: () => applyByPrisma(administrator, next()),
      ...{ runs, seconds, budget: '≥ 1.5' },
    });
  } finally {
    await Promise.all([forge.close(), administrator.close()]);
  }
}

/** As most users of Prisma would write it. */
function applyByPrisma({ prisma }, application) {
  const [key, answerId] = [randomUUID(), randomUUID()];
  return inTransaction(prisma, async (tx) => {
    const bodyHash = createHash('sha256').update(JSON.stringify(application)).digest('hex');
    await tx.request.create({ data: { key, operation: 'apply', bodyHash, answerId } });
    const [job] =
      await tx.$queryRaw`SELECT status, deadline, employer_id FROM jobs WHERE id = ${application.jobId} FOR SHARE`;
    const isOver = job.deadline !== null && job.deadline <= new Date();
    if (job.status !== 'open' || isOver || job.employer_id === application.freelancerId)
      throw new Error('cannot apply');
    return tx.application.create({ data: { id: answerId, ...application } });
  });
}
