// Started by auth.bench.js as a process of its own, like pgbench: `node auth-load.js '{"way": "refresh", …}'`.
const { existsSync, readFileSync } = require('node:fs');
const path = require('node:path');
const { login, openAuth, refresh, verifyAuditChain } = require('@azora/auth');
const { rateOf } = require('./measure.js');

const bcrypt = require(require.resolve('bcrypt', { paths: [path.resolve(__dirname, '..', 'services', 'auth')] }));

const WAYS = { login: loginTimes, refresh: refreshRate };

/** Each client refreshes the session of its own user with the token from its previous refresh. */
async function refreshRate({ url, accounts, seconds }) {
  const auth = openAuth({ url, pool: { max: accounts.length } });
  const signedIn = await Promise.all(accounts.map(({ email, password }) => login(auth, { email, password })));
  const tokens = signedIn.map(({ refreshToken }) => refreshToken);
  const result = await rateOf({ clients: tokens.length, seconds }, async (client) => {
    const { refreshToken } = await refresh(auth, { refreshToken: tokens[client] });
    tokens[client] = refreshToken;
  });
  await auth.close();
  return result;
}

/**
 * The CPU time in milliseconds of one login, and of one bare bcrypt.compare with the same cost. They take turns, one call at a
 * time. The CPU time of the server's process is included if the server runs on this machine under Linux.
 */
async function loginTimes({ url, accounts: [{ email, password }], runs, logins }) {
  const auth = openAuth({ url, pool: { max: 1 } });
  const { bcryptCost } = auth.settings;
  const { rows } = await auth.pool.query('SELECT pg_backend_pid() AS pid');
  const serverTime = timeOf(rows[0].pid);
  const hash = await bcrypt.hash(password, bcryptCost);
  const cpu = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e3 + serverTime();
  };
  const spent = async (work) => {
    const before = cpu();
    for (let time = 0; time < logins; time += 1) await work();
    return (cpu() - before) / logins;
  };
  await login(auth, { email, password });
  const times = [];
  for (let run = 0; run < runs; run += 1) {
    const ours = await spent(() => login(auth, { email, password }));
    times.push({ ours, bare: await spent(() => bcrypt.compare(password, hash)) });
  }
  const { ok, checked } = await verifyAuditChain(auth);
  await auth.close();
  if (!ok) throw new Error('The chain of the audit log is broken');
  return { times, bcryptCost, withServer: serverTime !== none, checked };
}

const none = () => 0;

/** Returns a function that reads the CPU milliseconds of a PostgreSQL process; always 0 if it is not on this machine. */
function timeOf(pid) {
  const read = (file) => readFileSync(`/proc/${pid}/${file}`, 'utf8');
  if (!existsSync(`/proc/${pid}/schedstat`) || read('comm').trim() !== 'postgres') return none;
  return () => Number(read('schedstat').split(' ')[0]) / 1e6;
}

async function main({ way, ...input }) {
  console.log(JSON.stringify(await WAYS[way](input)));
}

main(JSON.parse(process.argv[2])).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
