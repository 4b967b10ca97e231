/** Capabilities that some of the suite's servers lack. */
export interface ServerCapabilities {
  /** Accepts `COPY … FROM STDIN`. The companion (PGlite behind a socket) closes the connection instead. */
  readonly copyFrom: boolean;
  /** Enforces roles and has separate sessions. The companion runs all clients in one session of a superuser. */
  readonly roles: boolean;
}

/** Derives the capabilities from the text of `SELECT version()`. PGlite is PostgreSQL compiled by Emscripten. */
export function capabilitiesOf(version: string): ServerCapabilities {
  const companion = /emscripten|wasm/i.test(version);
  return { copyFrom: !companion, roles: !companion };
}
