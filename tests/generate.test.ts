import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(__dirname, '..');

describe('prisma/generate.js', () => {
  // Inside the checkout, for prisma.config.ts imports its package from there.
  const local = path.join(root, '.azora');
  mkdirSync(local, { recursive: true });
  const scratch = mkdtempSync(path.join(local, 'generate-'));
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  it("writes what Prisma's own command line writes", () => {
    const service = path.join(root, 'services', 'mint');
    mkdirSync(path.join(scratch, 'prisma'));
    cpSync(path.join(service, 'prisma', 'schema.prisma'), path.join(scratch, 'prisma', 'schema.prisma'));
    cpSync(path.join(service, 'prisma.config.ts'), path.join(scratch, 'prisma.config.ts'));
    execFileSync(process.execPath, [path.join(root, 'scripts', 'prisma.js'), 'generate'], { cwd: scratch });

    const written = readTree(path.join(scratch, 'src', 'generated'));

    expect(written.size).toBeGreaterThan(5);
    expect(readTree(path.join(service, 'src', 'generated'))).toEqual(written);
  });
});

function readTree(directory: string): Map<string, string> {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files
      .map(({ parentPath, name }) => path.join(parentPath, name))
      .map((file): [string, string] => [path.relative(directory, file), readFileSync(file, 'utf8')])
      .sort(),
  );
}
