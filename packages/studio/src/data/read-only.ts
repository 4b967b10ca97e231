declare global {
  // Read by a patch of the build in Studio's own code.
  var __studioReadOnly: boolean | undefined;
}

/** Takes the editors out of Studio; that nothing can be written is held by the databases. */
export function setReadOnly(isReadOnly: boolean): void {
  globalThis.__studioReadOnly = isReadOnly;
}
