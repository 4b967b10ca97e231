/** What a server can do that another of the suite's servers cannot. */
export interface ServerCapabilities {
  /** `COPY … FROM STDIN`; the companion (PGlite behind a socket) breaks the connection on it. */
  readonly copyFrom: boolean;
  /** Roles that are enforced and sessions of their own; the companion has one superuser session for all. */
  readonly roles: boolean;
}

/** Reads a server's capabilities from the text of `SELECT version()`: PGlite is PostgreSQL compiled by Emscripten. */
export function capabilitiesOf(version: string): ServerCapabilities {
  const companion = /emscripten|wasm/i.test(version);
  return { copyFrom: !companion, roles: !companion };
}
