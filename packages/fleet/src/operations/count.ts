/** A number and what it counts, in English: 1 migration, 1,200 rows. */
export function countOf(number: number, noun: string): string {
  return `${number.toLocaleString('en')} ${noun}${number === 1 ? '' : 's'}`;
}
