/** Capabilities that some of the suite's servers lack. */
export interface ServerCapabilities {
  /**
   * Accepts `COPY … FROM STDIN` of any size. PGlite cannot wait for the data of a COPY. Behind a plain socket it closes the
   * connection; the suite's companion holds all data in memory and runs the COPY afterwards. The version is the same in both.
   */
  readonly copyFrom: boolean;
  /** Enforces roles and has separate sessions. The companion runs all clients in one session of a superuser. */
  readonly roles: boolean;
}

/** Derives the capabilities from the text of `SELECT version()`. PGlite is PostgreSQL compiled by Emscripten. */
export function capabilitiesOf(version: string): ServerCapabilities {
  const companion = /emscripten|wasm/i.test(version);
  return { copyFrom: !companion, roles: !companion };
}
