// The entry of the shared seed. `azora-db seed` forks the compiled file and sends it the connection URLs. A person runs the source,
// as a Prisma project does: `npx ts-node prisma/seed.ts`, or `npx prisma db seed` in the folder of a service.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import type { SeedRequest } from '@azora/db-core';

/** Compiles what changed, because the services' seeds run compiled, then runs `azora-db seed` with these arguments. */
async function runSeedCommand(args: readonly string[]): Promise<void> {
  // Ctrl-C reaches the command as well, which stops at a safe point and sets the exit code.
  process.on('SIGINT', () => undefined);
  // The output of the build goes to stderr, so that stdout contains only the output of the seed.
  process.exitCode = await runTool(['generate'], 2);
  if (process.exitCode === 0) process.exitCode = await runTool(['seed', ...args], 1);
}

async function runTool(args: readonly string[], stdout: 1 | 2): Promise<number> {
  const root = path.resolve(__dirname, '..');
  const bin = path.join(root, 'packages', 'fleet', 'bin', 'azora-db.js');
  const child = spawn(process.execPath, [bin, ...args], { cwd: root, stdio: ['inherit', stdout, 'inherit'] });
  const [exitCode] = await once(child, 'close');
  return exitCode ?? 1;
}

/** Seeds the services of the request that the toolkit sends. */
function serveToolkit(): void {
  // Prisma's query compiler is WebAssembly and compiles each statement of the seed once, so optimizing its code costs more than
  // it saves. A later version of V8 that does not know the flag prints a line and continues.
  setFlagsFromString('--liftoff-only');
  process.once('message', async (request: SeedRequest) => {
    try {
      const { seedFleet } = await import('./seed-fleet.js');
      await seedFleet(request);
    } catch (error) {
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
      process.exitCode = 1;
    } finally {
      if (process.connected) process.disconnect();
    }
  });
  // The toolkit has exited or was interrupted. The servers roll back the open transactions.
  process.once('disconnect', () => process.exit());
}

if (process.send === undefined) void runSeedCommand(process.argv.slice(2));
else serveToolkit();
