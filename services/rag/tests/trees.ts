import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Makes folders, which are removed after the tests. */
export function useFolders(): () => string {
  const made: string[] = [];
  afterAll(() => {
    for (const folder of made) rmSync(folder, { recursive: true, force: true });
  });
  return () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'azora-rag-'));
    made.push(folder);
    return folder;
  };
}

/** Writes files by their relative paths. */
export function writeTree(root: string, files: Readonly<Record<string, string | Buffer>>): void {
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), content);
  }
}

/** A tree with code in two languages, calls between its files, and a text. */
export const SHOP = {
  'README.md': '# Shop\n\nSells things.\n\n## Orders\n\nAn order has lines.\n',
  'src/pay.ts':
    "import { total } from './order';\n\n/** Takes the money. */\nexport function pay(id: string): number {\n  return total(id);\n}\n",
  'src/order.ts': 'export function total(id: string): number {\n  return id.length;\n}\n',
  'tools/report.py': 'from tools.sums import add\n\ndef report(a, b):\n    return add(a, b)\n',
  'tools/sums.py': 'def add(a, b):\n    return a + b\n',
};
