import type { Pool } from 'pg';

/** The part of a lease that must be left, so that a renewal needs no statement. */
const ENOUGH = 2 / 3;

interface Lease {
  readonly owner: string;
  /** When the relay last gave a sign of life. */
  readonly askedAt: number;
  /** When the lease ends, as far as the database knows. */
  readonly endsAt: number;
}

/**
 * The leases of the relays of a process. One statement renews all of them. A lease ends as long after the last sign of life of its
 * own relay as if each had a statement: others do not keep the lease of a relay that cannot reach its outbox.
 */
export class SourceLeases {
  readonly #pool: Pool;
  readonly #leaseMs: number;
  readonly #leases = new Map<string, Lease>();
  #renewing: Promise<void> | undefined;

  constructor(pool: Pool, leaseMs: number) {
    this.#pool = pool;
    this.#leaseMs = leaseMs;
  }

  /** Records that a statement has given or renewed a lease. It began at `since`. */
  hold(source: string, owner: string, since: number): void {
    this.#leases.set(source, { owner, askedAt: since, endsAt: since + this.#leaseMs });
  }

  /** Forgets a lease that was given back. */
  drop(source: string): void {
    this.#leases.delete(source);
  }

  /** Renews a lease, and those of the other relays. Returns false if the row of the source is locked, or has another owner. */
  async renew(source: string, owner: string): Promise<boolean> {
    const lease = this.#leases.get(source);
    if (lease?.owner !== owner) return false;
    this.#leases.set(source, { ...lease, askedAt: performance.now() });
    if (this.#isEnough(source)) return true;
    this.#renewing ??= this.#renewAll().finally(() => {
      this.#renewing = undefined;
    });
    await this.#renewing;
    return this.#isEnough(source);
  }

  #isEnough(source: string): boolean {
    const endsAt = this.#leases.get(source)?.endsAt ?? Number.NEGATIVE_INFINITY;
    return endsAt - performance.now() >= this.#leaseMs * ENOUGH;
  }

  async #renewAll(): Promise<void> {
    const now = performance.now();
    const due = [...this.#leases].filter(([, { askedAt, endsAt }]) => askedAt + this.#leaseMs > endsAt);
    const { rows } = await this.#pool.query<{ source: string }>('SELECT renew_sources($1, $2, $3) AS source', [
      due.map(([source]) => source),
      due.map(([, { owner }]) => owner),
      due.map(([, { askedAt }]) => Math.floor(askedAt + this.#leaseMs - now)),
    ]);
    const renewed = new Set(rows.map(({ source }) => source));
    for (const [source, { owner, askedAt }] of due) {
      const lease = this.#leases.get(source);
      // Meanwhile the relay may have ended, or may have renewed the lease by an append.
      if (!renewed.has(source) || lease?.owner !== owner) continue;
      this.#leases.set(source, { ...lease, endsAt: Math.max(lease.endsAt, askedAt + this.#leaseMs) });
    }
  }
}
