// One process at a time, by a file that names its owner. Plain Node: it guards the installation of everything else.
const { linkSync, mkdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const POLL_MS = 200;

/** When a process began, so that a pid given to another program does not count; '' where it cannot be told. */
function startOf(pid) {
  try {
    // Fields 3 (state) and 22 (start) of /proc/<pid>/stat; the second field may hold spaces and parentheses.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop().split(' ');
    return fields[0] === 'Z' ? '' : fields[19];
  } catch {
    return '';
  }
}

function isProcessAlive({ pid, start }) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
  return start === '' || startOf(pid) === start;
}

/** The owner lives while its process, or one that it started and named, does: a killed setup leaves npm running. */
function isAlive(owners) {
  return owners.some(isProcessAlive);
}

function describe(pid) {
  return { pid, start: startOf(pid) };
}

function readOwner(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Takes a dead owner's lock out of the way. Renamed first: of several who try, one gets the file, and looks at it. */
function removeStale(file, mine) {
  const aside = `${mine}.stale`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if (error.code === 'ENOENT') return;
    throw error;
  }
  const owner = readOwner(aside);
  try {
    // It was replaced by a living owner's in the meantime: give it back.
    if (owner !== undefined && isAlive(owner)) linkSync(aside, file);
  } finally {
    unlinkSync(aside);
  }
}

/**
 * Runs `work` while holding the lock; waits for a living owner, takes over from a dead one. `work` is given a function
 * that names a child process as owner too.
 */
async function withLock(file, work) {
  const mine = `${file}.${process.pid}`;
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const owners = [describe(process.pid)];
  writeFileSync(mine, JSON.stringify(owners), { mode: 0o600 });
  try {
    let told = false;
    for (;;) {
      try {
        // A link appears whole or not at all, and fails when the name is taken.
        linkSync(mine, file);
        break;
      } catch (error) {
        if (error.code !== 'EEXIST') throw error;
      }
      const owner = readOwner(file);
      if (owner === undefined) continue;
      if (!isAlive(owner)) {
        removeStale(file, mine);
        continue;
      }
      if (!told) process.stderr.write(`waiting for another setup of this checkout (process ${owner[0].pid})\n`);
      told = true;
      await sleep(POLL_MS);
    }
  } finally {
    unlinkSync(mine);
  }
  const owns = (pid) => {
    owners.push(describe(pid));
    const draft = `${mine}.owners`;
    writeFileSync(draft, JSON.stringify(owners), { mode: 0o600 });
    renameSync(draft, file);
  };
  try {
    return await work(owns);
  } finally {
    unlinkSync(file);
  }
}

module.exports = { withLock };
