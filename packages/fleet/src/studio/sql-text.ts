/**
 * Whether the server receives exactly this text. UTF-8 has no form for an unpaired surrogate, and a text of the protocol
 * ends at NUL: a parser in this process and the server would read different statements.
 */
export function isExactText(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

/** Why a text is rejected, for the person who sent it. */
export const NOT_EXACT = 'contains NUL or an unpaired surrogate';
