export const SECONDS_A_DAY = 86_400;

/** What a stake may be locked for, in days of 86,400 seconds. */
export const LOCK_DAYS = { min: 1, max: 3_650 } as const;

/** The yearly rate of a stake that is given none: that of the longest lock which it reaches. */
export const DEFAULT_RATES = [
  { lockDays: 365, annualRate: '0.12' },
  { lockDays: 180, annualRate: '0.1' },
  { lockDays: 90, annualRate: '0.08' },
  { lockDays: 30, annualRate: '0.05' },
  { lockDays: LOCK_DAYS.min, annualRate: '0.03' },
] as const;

/** The rate of {@link DEFAULT_RATES} for a lock. */
export function defaultRate(lockDays: number): string {
  const terms = DEFAULT_RATES.find((row) => lockDays >= row.lockDays);
  if (terms === undefined) throw new Error(`no rate for a lock of ${lockDays} days`);
  return terms.annualRate;
}
