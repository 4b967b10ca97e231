import { spawn } from 'node:child_process';

/** Asks the desktop to open the address; where there is none, nothing happens, for the address is printed as well. */
export function openBrowser(url: string): void {
  const [program, ...args] = openerOf(process.platform);
  if (program === undefined) return;
  const child = spawn(program, [...args, url], { detached: true, stdio: 'ignore', windowsHide: true });
  child.on('error', () => undefined);
  child.unref();
}

function openerOf(platform: NodeJS.Platform): readonly string[] {
  if (platform === 'darwin') return ['open'];
  // explorer.exe takes the address as one argument, where `start` would read & and ^ in it.
  if (platform === 'win32') return ['explorer.exe'];
  return process.env['DISPLAY'] === undefined && process.env['WAYLAND_DISPLAY'] === undefined ? [] : ['xdg-open'];
}
