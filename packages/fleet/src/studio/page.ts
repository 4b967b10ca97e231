import { randomBytes } from 'node:crypto';

const NONCE_BYTES = 16;

export interface Page {
  readonly html: string;
  readonly contentSecurityPolicy: string;
}

/** The one document of the studio. Its scripts come from this server only; styles that they add carry the nonce. */
export function renderPage(): Page {
  const nonce = randomBytes(NONCE_BYTES).toString('base64');
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Azora studio</title>
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
