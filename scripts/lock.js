// The lock of a checkout: a file that names its owner. Plain Node, because it guards the installation of the packages. The toolkit's own
// system/lock-file.ts serves other needs: it never removes a file to make room.
const { linkSync, mkdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const POLL_MS = 200;

/** When a process started, which tells it from a later one with the same pid; '' when the system does not show it. */
function startOf(pid) {
  try {
    // Fields 3 (state) and 22 (start) of /proc/<pid>/stat; field 2 may contain spaces and parentheses.
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

/** An owner lives as long as its process or a child process that it named: a killed setup leaves npm running. */
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

/** Removes the lock of a dead owner. Renames it first: of several processes one gets the file and examines it. */
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
    // A living owner replaced it meanwhile: put it back.
    if (owner !== undefined && isAlive(owner)) linkSync(aside, file);
  } finally {
    unlinkSync(aside);
  }
}

/**
 * Runs `work` under the lock of the checkout. Waits for a living owner until `signal` is aborted, and replaces a dead one. `work` gets a function that names a child
 * process as an owner too.
 */
async function withLock(root, signal, work) {
  const file = path.join(root, '.azora', 'setup.lock');
  const mine = `${file}.${process.pid}`;
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const owners = [describe(process.pid)];
  writeFileSync(mine, JSON.stringify(owners), { mode: 0o600 });
  try {
    let told = false;
    for (;;) {
      try {
        // Creating a link is atomic, and fails when the name is taken.
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
      if (!told)
        process.stderr.write(`waiting for another setup or build of this checkout (process ${owner[0].pid})\n`);
      told = true;
      await sleep(POLL_MS);
      signal.throwIfAborted();
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
