/** @server none */
import { CTRL_C, openTerminal } from '../src';

const PROGRAM = `
  process.on('SIGINT', () => { console.log('interrupted'); process.exit(130); });
  console.log([process.stdout.isTTY, process.stderr.isTTY, process.stdout.columns].join(' '));
  process.stdin.on('data', (text) => console.log('read ' + text));
`;

describe('a pseudo-terminal', () => {
  it('has a size, passes typed text on, and interrupts the program', async () => {
    const { PATH = '' } = process.env;
    const terminal = openTerminal([process.execPath, '-e', PROGRAM], { cwd: __dirname, env: { PATH } });
    try {
      await terminal.waitFor(/true true 120/);
      terminal.type("it's\n");
      await terminal.waitFor(/read it's/);
      terminal.type(CTRL_C);

      expect(await terminal.ended).toBe(130);
      expect(terminal.output()).toContain('interrupted');
    } finally {
      await terminal.close();
    }
  });

  it('reports a program that ends without the awaited output', async () => {
    const { PATH = '' } = process.env;
    const terminal = openTerminal([process.execPath, '-e', 'process.exitCode = 3'], { cwd: __dirname, env: { PATH } });

    await expect(terminal.waitFor(/never/)).rejects.toThrow('the program ended without /never/');
    expect(await terminal.ended).toBe(3);
  });
});
