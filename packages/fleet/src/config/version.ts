import { readFileSync } from 'node:fs';
import path from 'node:path';

/** The version of the toolkit, which all packages of the suite share. */
export function suiteVersion(): string {
  const text = readFileSync(path.resolve(__dirname, '..', '..', 'package.json'), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}
