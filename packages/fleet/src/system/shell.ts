/** An argument as a person can type it in a shell. */
export function shellQuoted(arg: string): string {
  return /^[\w./:@%=,+-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", String.raw`'\''`)}'`;
}
