/** @server none */
import { spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';
import { azoraDb } from './cli';

const root = repositoryRoot();
const GUIDES = ['DATABASE-GUIDE.md', 'SEED-DATA.md', 'MIGRATIONS.md'];

/** The text of every block that is marked as bash, in the order of the guide. */
function bashBlocks(guide: string): readonly string[] {
  const text = readFileSync(path.join(root, guide), 'utf8');
  return [...text.matchAll(/^```bash\n([\s\S]*?)^```$/gm)].map((match) => match[1] ?? '');
}

/** A copy of the checkout that the guides may change; it uses the installed packages and the compiled code of this one. */
function copyCheckout(): string {
  const copy = mkdtempSync(path.join(os.tmpdir(), 'azora-guides-'));
  const excluded = ['.git', '.azora', 'node_modules', '.env'].map((name) => path.join(root, name));
  cpSync(root, copy, { recursive: true, filter: (source) => !excluded.includes(source) });
  // The account that runs the embedded server must be able to reach its data; otherwise the server would keep them outside
  // the copy, where nothing removes them.
  chmodSync(copy, 0o755);
  symlinkSync(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));
  return copy;
}

describe('the guides', () => {
  const checkout = copyCheckout();
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: process.env['HOME'] ?? '',
  };

  afterAll(async () => {
    await azoraDb(['server', 'stop'], { cwd: checkout });
    rmSync(checkout, { recursive: true });
  });

  it.each(GUIDES)('%s: every bash block runs, on a server inside the copy', async (guide) => {
    const blocks = bashBlocks(guide);
    expect(blocks.length).toBeGreaterThan(0);

    for (const block of blocks) expect(await bash(block)).toEqual({ block, exitCode: 0, output: expect.any(String) });
    expect(existsSync(path.join(checkout, '.azora', 'embedded', 'data', 'PG_VERSION'))).toBe(true);
  });

  async function bash(block: string): Promise<{ block: string; exitCode: number | null; output: string }> {
    const child = spawn('bash', ['-euo', 'pipefail', '-c', block], {
      cwd: checkout,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const exitCode = await new Promise<number | null>((resolve) => child.once('close', resolve));
    return { block: exitCode === 0 ? block : `${block}\n${output}`, exitCode, output };
  }
});
