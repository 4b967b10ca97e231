import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import type { PageError } from './errors';

export interface Page {
  readonly html: string;
  readonly contentSecurityPolicy: string;
}

const NONCE_BYTES = 16;

/**
 * Renders the document of the studio. Scripts load from this server only; styles that they add carry the nonce. A `key`
 * authenticates the requests of the page.
 */
export function renderPage(key?: string): Page {
  const nonce = randomBytes(NONCE_BYTES).toString('base64');
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Azora studio</title>${key === undefined ? '' : `\n<meta name="studio-key" content="${key}">`}
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/assets/page.css">
<script nonce="${nonce}" src="/assets/env.js"></script>
</head>
<body>
<div id="root"></div>
<script type="module" src="/assets/page.js"></script>
</body>
</html>
`;
  return { html, contentSecurityPolicy: policyOf(nonce) };
}

/** Renders the reason why a person sees no page. */
export function renderProblem({ code, message, why, next }: PageError): Page {
  const nonce = randomBytes(NONCE_BYTES).toString('base64');
  const lines = [why, next].filter((line) => line !== undefined).map((line) => `<p>${escaped(line)}</p>`);
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(message)} · Azora studio</title>
<link rel="icon" href="data:,">
<style nonce="${nonce}">:root { color-scheme: light dark; } body { font: 1rem/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 40rem; padding: 0 1rem; }</style>
</head>
<body>
<main>
<h1>${escaped(message)}</h1>
${lines.join('\n')}
<p><code>${escaped(code)}</code></p>
</main>
</body>
</html>
`;
  return { html, contentSecurityPolicy: policyOf(nonce) };
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

function policyOf(nonce: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "connect-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

export interface Asset {
  readonly body: Buffer;
  readonly type: string;
  readonly etag: string;
  /** Whether the name contains a hash of the content, so that the file never changes. */
  readonly isHashed: boolean;
}

/** The files of the page by name. No other file is served. */
export type Assets = ReadonlyMap<string, Asset>;

/** The built page, in the checkout or in an installed package. */
export const PAGE_DIRECTORY = path.join(path.dirname(require.resolve('@azora/db-studio/package.json')), 'dist');

const TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
  // LICENSE and NOTICE.
  '': 'text/plain; charset=utf-8',
};
const HASHED = /-[A-Z0-9]{8}\.(js|css)$/;
const NEEDED = ['page.js', 'page.css', 'env.js'];

/**
 * Reads the files of the page into memory.
 * @throws {SuiteError} `STUDIO.NOT_BUILT`
 */
export async function readAssets(directory: string): Promise<Assets> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    throw notBuilt(`${directory} cannot be read: ${error.code ?? error.message}.`, error);
  });
  const names = entries.filter((entry) => entry.isFile() && path.extname(entry.name) in TYPES).map(({ name }) => name);
  const missing = NEEDED.filter((name) => !names.includes(name));
  if (missing.length > 0) throw notBuilt(`${directory} does not contain ${missing.join(', ')}.`);
  const assets = await Promise.all(
    names.map(async (name): Promise<[string, Asset]> => {
      const body = await readFile(path.join(directory, name));
      const etag = `"${createHash('sha256').update(body).digest('base64url')}"`;
      return [name, { body, type: TYPES[path.extname(name)] ?? '', etag, isHashed: HASHED.test(name) }];
    }),
  );
  return new Map(assets);
}

function notBuilt(why: string, cause?: unknown): SuiteError {
  return new SuiteError('STUDIO.NOT_BUILT', "The studio's page is not built", {
    kind: 'configuration',
    why,
    next: 'Run "npm run build"',
    cause,
  });
}
