// A sign-in against bcrypt alone, and a refresh against pgbench running the same SQL.
//
// pgbench cannot hash, so its tokens are 16 random digits followed by 48 zeros. The database accepts them as hashes, and they
// are as scattered over the indexes as real ones. Each client keeps its last token in a variable, so each has its own chain of
// refreshes, which starts at a session opened by the same function as a sign-in.
const { pgbench } = require('./pgbench.js');
const { middle, rateRow, runProgram, takeTurns } = require('./measure.js');
const { withServiceDatabase } = require('./service-database.js');

const CLIENTS = 8;
const LOGINS = 8;
const SESSION_DAYS = 7;
const DIGITS = 1_000_000_000_000_000n;
/** The size of the range of ids for one run, and for one client of a run. */
const RUN_NUMBERS = 10_000_000_000n;
const CLIENT_NUMBERS = 10_000_000n;

const REFRESH = `\\set n :n + 1
\\set spent :fresh
\\if :n = 1
\\set spent :first + :client_id * ${CLIENT_NUMBERS}
\\endif
\\set id :first + :client_id * ${CLIENT_NUMBERS} + :n
\\set fresh random(${2n * DIGITS}, ${10n * DIGITS - 1n})
\\set session random(${2n * DIGITS}, ${10n * DIGITS - 1n})
SELECT outcome, user_id AS "userId", session_id AS "sessionId", expires_at AS "expiresAt",
    family_expires_at AS "absoluteExpiresAt", salt
  FROM refresh_session(:spent || repeat('0', 48), :id, :fresh || repeat('0', 27), :fresh || repeat('0', 48),
    :session || repeat('0', 48), 604800000::float8 * interval '1 ms', NULL, NULL);
`;

exports.run = ({ runs, seconds = 5, ...context }) =>
  withServiceDatabase(context, 'auth', async (urls) => {
    const accounts = await givenAccounts(urls.app);
    return [signingIn({ urls, accounts, runs }), await refreshing({ urls, accounts, runs, seconds })];
  });

function signingIn({ urls, accounts, runs }) {
  const input = { way: 'login', url: urls.app, accounts, runs, logins: LOGINS };
  const { times, bcryptCost, withServer } = runProgram('auth-load.js', input);
  const ours = middle(times.map((time) => time.ours));
  const bare = middle(times.map((time) => time.bare));
  const name = `bcrypt.compare of cost ${bcryptCost} alone`;
  return {
    what: `auth.login, CPU time${withServer ? ', server included' : ' of Node'}`,
    ours: `${ours.toFixed(1)} ms`,
    peer: `${bare.toFixed(1)} ms (${name})`,
    ratio: (bare / ours).toFixed(2),
    budget: '≥ 0.95',
  };
}

async function refreshing({ urls, accounts, runs, seconds }) {
  const { withClient } = require('@azora/db-fleet');
  const { parseDatabaseUrl } = require('@azora/db-core');
  const administrator = parseDatabaseUrl(urls.admin, 'the administrator');
  let [started, refreshed] = [0n, 0];
  const count = ({ perSecond, done }) => {
    refreshed += done;
    return perSecond;
  };
  const peer = async () => {
    started += 1n;
    const first = DIGITS + started * RUN_NUMBERS;
    await withClient(administrator, (client) => openSessions(client, accounts, first));
    const load = { script: REFRESH, clients: CLIENTS, seconds, variables: { first, fresh: 0, session: 0 } };
    return count(pgbench(urls.app, load));
  };
  const tidy = () =>
    withClient(administrator, async (client) => {
      await client.query('VACUUM (ANALYZE) tokens, sessions, users');
      await client.query('CHECKPOINT');
    });
  const ours = () => count(runProgram('auth-load.js', { way: 'refresh', url: urls.app, accounts, seconds }));
  const rates = await takeTurns(runs, { ours, peer }, tidy);
  await checkRefreshed(administrator, refreshed);
  return rateRow(`auth.refresh, ${CLIENTS} clients`, rates.ours, rates.peer, 'pgbench, the same SQL', '≥ 1.0');
}

/** Opens a session for each client of pgbench, with the first token of its chain. */
async function openSessions(client, accounts, first) {
  for (const [number, { userId }] of accounts.entries()) {
    const id = String(first + BigInt(number) * CLIENT_NUMBERS);
    const values = [userId, id, `${id}${'1'.repeat(48)}`, `${id}${'0'.repeat(48)}`, SESSION_DAYS];
    await client.query(
      `SELECT open_session($1, $2, $3, $2, $4, $5 * interval '1 day', $5 * interval '1 day', 'password', NULL, NULL)`,
      values,
    );
  }
}

/** @throws {Error} if a counted refresh was rejected: every accepted refresh spends one token. */
async function checkRefreshed(administrator, refreshed) {
  const { withClient } = require('@azora/db-fleet');
  const { rows } = await withClient(administrator, (client) =>
    client.query("SELECT count(*)::int AS spent FROM tokens WHERE kind = 'refresh' AND used_at IS NOT NULL"),
  );
  if (rows[0].spent !== refreshed)
    throw new Error(`Counted ${refreshed} refreshes, but ${rows[0].spent} tokens were spent`);
}

async function givenAccounts(url) {
  const { openAuth, register } = require('@azora/auth');
  const auth = openAuth({ url });
  const accounts = Array.from({ length: CLIENTS }, async (_, number) => {
    const [email, password] = [`bench-${number}@example.com`, `four unrelated words ${number}`];
    const { userId } = await register(auth, { email, password });
    return { userId, email, password };
  });
  return Promise.all(accounts).finally(() => auth.close());
}
