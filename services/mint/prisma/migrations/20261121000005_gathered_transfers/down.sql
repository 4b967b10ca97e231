-- Undoes 20261121000005_gathered_transfers: the definition of 20261121000004_faster_ledger.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "transfer_gathered"(text[], text[], text[], text[], text[], numeric[], text[], timestamptz[]);

-- Moves what was inserted by one statement. One row, the common case, by plans that are made once, and by as few as can
-- be; many rows by plans that are made for as many, for a plan that was made for thousands would read all wallets for
-- two.
CREATE OR REPLACE FUNCTION "post_transactions"() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  entry record;
  payer record;
  receiver record;
  found_wallet record;
  misfits text[];
  locks bigint;
BEGIN
  SELECT id, type, from_id, to_id, amount, stake_id, hold_id, created_at,
    EXISTS (SELECT FROM posted OFFSET 1) AS is_one_of_many
  INTO entry FROM posted LIMIT 1;
  IF NOT FOUND THEN
    RETURN NULL;
  ELSIF NOT entry.is_one_of_many THEN
    FOR found_wallet IN
      SELECT id, kind, status, balance FROM wallets WHERE id IN (entry.from_id, entry.to_id)
      ORDER BY id COLLATE "C" FOR NO KEY UPDATE
    LOOP
      IF found_wallet.id = entry.from_id THEN payer := found_wallet; END IF;
      IF found_wallet.id = entry.to_id THEN receiver := found_wallet; END IF;
    END LOOP;
    IF entry.stake_id IS NOT NULL OR entry.hold_id IS NOT NULL OR payer.status = 'closed' OR receiver.status = 'closed'
      OR NOT sides_fit(entry.type, payer.kind, receiver.kind)
    THEN
      PERFORM check_entries(ARRAY[entry.id]);
    END IF;
    IF receiver.balance + entry.amount >= 1e10 OR payer.balance - entry.amount <= -1e10 THEN
      PERFORM refuse_balance_limit(
        CASE WHEN receiver.balance + entry.amount >= 1e10 THEN receiver.id ELSE payer.id END);
    END IF;
    UPDATE wallets SET
      balance = balance + CASE id WHEN entry.to_id THEN entry.amount ELSE -entry.amount END,
      earned = earned + CASE
        WHEN id = entry.to_id AND entry.type IN ('reward', 'mining', 'staking_reward') THEN entry.amount ELSE 0 END,
      updated_at = greatest(updated_at, entry.created_at)
    WHERE id IN (entry.from_id, entry.to_id);
  ELSE
    -- What is not joined is locked all the same, for it is counted.
    EXECUTE $many$
      WITH locked AS MATERIALIZED (
        SELECT id, kind, status FROM wallets WHERE id IN (SELECT from_id FROM posted UNION ALL SELECT to_id FROM posted)
        ORDER BY id COLLATE "C" FOR NO KEY UPDATE
      )
      SELECT array_agg(p.id), (SELECT count(*) FROM locked)
      FROM posted AS p JOIN locked AS f ON f.id = p.from_id JOIN locked AS t ON t.id = p.to_id
      WHERE p.stake_id IS NOT NULL OR p.hold_id IS NOT NULL OR f.status = 'closed' OR t.status = 'closed'
        OR NOT sides_fit(p.type, f.kind, t.kind) $many$
    INTO misfits, locks;
    IF misfits IS NOT NULL THEN PERFORM check_entries(misfits); END IF;
    BEGIN
      EXECUTE $many$
        UPDATE wallets AS w SET balance = w.balance + sums.change, earned = w.earned + sums.earned,
          updated_at = greatest(w.updated_at, sums.newest)
        FROM (
          SELECT wallet_id, sum(change) AS change, sum(earned) AS earned, max(created_at) AS newest FROM (
            SELECT from_id AS wallet_id, -amount AS change, 0 AS earned, created_at FROM posted
            UNION ALL
            SELECT to_id, amount, CASE WHEN type IN ('reward', 'mining', 'staking_reward') THEN amount ELSE 0 END,
              created_at
            FROM posted
          ) AS sides GROUP BY wallet_id
        ) AS sums
        WHERE w.id = sums.wallet_id $many$;
    EXCEPTION WHEN numeric_value_out_of_range THEN
      PERFORM refuse_balance_limit(NULL);
    END;
  END IF;
  RETURN NULL;
END
$$;
