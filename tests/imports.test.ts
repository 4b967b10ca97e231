import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';

const root = repositoryRoot();

function cruise(folders: readonly string[]): { status: number | null; output: string } {
  const bin = path.join(root, 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruise.mjs');
  const args = [bin, '--config', '.dependency-cruiser.js', '--output-type', 'err', ...folders];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

describe('the import table', () => {
  it('holds for every file', () => {
    const { status, output } = cruise(['packages', 'services', 'prisma']);

    expect({ status, output }).toEqual({
      status: 0,
      output: expect.stringContaining('no dependency violations found'),
    });
  });

  const probes = [
    ['core imports the toolkit', 'packages/core/src', '../../fleet/src/config/registry', 'core'],
    [
      'the toolkit imports a service',
      'packages/fleet/src/operations',
      '../../../../services/mint/src/client',
      'fleet-operations',
    ],
    ['an operation imports a command', 'packages/fleet/src/operations', '../commands/exit-codes', 'fleet-operations'],
    ['a service imports another', 'services/mint/src', '../../auth/src/client', 'service-mint'],
    ['the seed imports the toolkit', 'prisma', '../packages/fleet/src/config/registry', 'seed'],
  ] as const;

  it.each(probes)('refuses it when %s', (_title, folder, target, room) => {
    // In a folder of its own name that nothing else compiles or cruises at the same time.
    const probe = path.join(root, folder, `zz-probe-${process.pid}`);
    mkdirSync(probe);
    try {
      writeFileSync(path.join(probe, 'probe.ts'), `export * from '../${target}';\n`);

      expect(cruise([path.join(folder, path.basename(probe))]).output).toContain(`${room}-imports-only-what-it-may`);
    } finally {
      rmSync(probe, { recursive: true });
    }
  });
});
