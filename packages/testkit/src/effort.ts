/**
 * How many times as much the tests do whose work is a matter of choice, such as random operations and kills: a whole number of
 * AZORA_TEST_EFFORT, 1 when it is not set.
 * @throws {Error} for another value
 */
export function testEffort(): number {
  const effort = Number(process.env['AZORA_TEST_EFFORT'] ?? 1);
  if (!Number.isInteger(effort) || effort < 1) throw new Error('AZORA_TEST_EFFORT is not a whole number above 0');
  return effort;
}
