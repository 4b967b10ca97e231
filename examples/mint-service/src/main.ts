import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { migrateOnStart } from '@azora/db-migrate';
import { getWallet, openMint, openWallet } from '@azora/mint';

const { MINT_DATABASE_URL = '', MINT_ADMIN_URL, PORT = '8080', POOL_MAX = '5' } = process.env;

// Any number of copies may start at once: one of them applies the migrations, and the others wait for it.
if (MINT_ADMIN_URL !== undefined) {
  const mintPackage = createRequire(import.meta.url).resolve('@azora/mint/package.json');
  const applied = await migrateOnStart({
    migrations: path.join(path.dirname(mintPackage), 'prisma', 'migrations'),
    url: MINT_ADMIN_URL,
    role: new URL(MINT_DATABASE_URL).username,
    onWait: (reason) => console.log(reason),
  });
  console.log(`applied ${applied.length} migrations`);
}

const mint = openMint({ url: MINT_DATABASE_URL, pool: { max: Number(POOL_MAX) } });

async function answer(request: IncomingMessage): Promise<unknown> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
  if (request.method === 'POST' && pathname === '/wallets') {
    return openWallet(mint, { userId: searchParams.get('user') ?? '', currency: 'AZR' });
  }
  return getWallet(mint, { walletId: pathname.replace('/wallets/', '') });
}

function statusOf(error: unknown): number {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code.endsWith('.INVALID_INPUT')) return 400;
  return code.endsWith('NOT_FOUND') ? 404 : 500;
}

const server = createServer((request, response) => {
  answer(request).then(
    (body) => response.end(JSON.stringify(body)),
    (error: unknown) => {
      // An error of the store contains no secret and no row, and its message can be shown.
      const message = error instanceof Error ? error.message : String(error);
      response.writeHead(statusOf(error)).end(JSON.stringify({ error: message }));
    },
  );
});
server.listen(Number(PORT));
await once(server, 'listening');
console.log(`listening on port ${JSON.stringify(server.address())}`);

// A container is stopped with SIGTERM: answer the requests that are open, then close the connections.
await once(process, 'SIGTERM');
server.close();
await once(server, 'close');
await mint.close();
console.log('stopped');
