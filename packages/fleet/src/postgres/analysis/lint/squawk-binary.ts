import { createRequire } from 'node:module';
import { SuiteError } from '@azora/db-core';

/**
 * Where squawk's program is: npm installs the package of this system beside squawk-cli, as one of its optional ones.
 * @throws {SuiteError} `LINT.NO_SQUAWK`
 */
export function findSquawk(system = `${process.platform}-${process.arch}`): string {
  const name = `@squawk-cli/${system}`;
  const program = system.startsWith('win32') ? 'squawk.exe' : 'squawk';
  try {
    return createRequire(require.resolve('squawk-cli/package.json')).resolve(`${name}/bin/${program}`);
  } catch (cause) {
    throw new SuiteError('LINT.NO_SQUAWK', `The package ${name} is not installed`, {
      kind: 'configuration',
      why: 'It holds squawk, which reads the migrations, and is an optional dependency, which npm leaves out with --omit=optional. There is one for Linux and macOS on x64 and arm64, and for Windows on x64.',
      next: 'Run "npm install --include=optional", or lint on one of these systems',
      meta: { package: name },
      cause,
    });
  }
}
