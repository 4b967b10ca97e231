-- Why: holds and captures that a process requests at the same time are made together, for a fraction of the time. One statement makes the
-- calls that fit, whatever their order; each of the others is a call of its own. A call that a rule rejects is undone alone and left out
-- of the result: the store repeats it as a single call, which has its error. If a wallet or a key stays locked for 100 ms, the calls that
-- are left are left out too, so that nobody waits for many.
-- A capture costs as much as a transfer: it reads its hold by the id, where a plan from when there were few holds read all that are held or
-- that were captured from the wallet, and it moves the money in the statement of a transfer.
-- Locks: none that reads or writes wait for; functions are added and replaced.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION check_entry(entry public.transactions, payer public.wallets, receiver public.wallets) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  IF NOT sides_fit(entry.type, payer.kind, receiver.kind) THEN
    PERFORM refuse('transaction_sides',
      jsonb_build_object('type', entry.type, 'from', payer.kind, 'to', receiver.kind),
      'Each type moves money between two kinds of wallets; see sides_fit.');
  ELSIF payer.status = 'closed' OR receiver.status = 'closed' THEN
    PERFORM refuse('wallet_closed',
      jsonb_build_object('walletId', CASE WHEN payer.status = 'closed' THEN payer.id ELSE receiver.id END),
      'A closed wallet takes part in nothing.');
  END IF;
  IF entry.stake_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM stakes AS s
    WHERE s.id = entry.stake_id AND s.wallet_id = CASE entry.type WHEN 'stake' THEN payer.id ELSE receiver.id END
      AND (entry.type = 'staking_reward' OR s.amount = entry.amount)
  ) THEN
    PERFORM refuse('transaction_stake', jsonb_build_object('stakeId', entry.stake_id),
      'It moves the amount of the stake, between the staking wallet and the wallet of the stake.');
  END IF;
  IF entry.hold_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM (SELECT * FROM holds WHERE id = entry.hold_id OFFSET 0) AS h
    WHERE entry.type = 'transfer' AND h.status = 'captured' AND h.wallet_id = payer.id
      AND coalesce(h.to_id, receiver.id) = receiver.id AND h.captured_amount = entry.amount
  ) THEN
    PERFORM refuse('transaction_hold', jsonb_build_object('holdId', entry.hold_id),
      'It moves the captured amount of the hold, from the wallet of the hold to its receiver.');
  END IF;
END
$$;

CREATE OR REPLACE FUNCTION post_transactions() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  entry record;
  found_wallet record;
  payer record;
  receiver record;
  moved integer;
  are_locked boolean := false;
BEGIN
  -- The functions that make transfers and captures lock their wallets before they insert, and say so. What they say is not trusted: an
  -- update of any other row changes too few wallets.
  IF current_setting('azora.wallets_locked_for', true) <> '' THEN
    UPDATE public.wallets AS w SET
      balance = w.balance + CASE w.id WHEN p.to_id THEN p.amount ELSE -p.amount END,
      entries = w.entries + 1, last_seq = p.seq, chain = sha256(w.chain || p.hash || r.hash),
      updated_at = greatest(w.updated_at, p.created_at)
    FROM posted AS p JOIN public.requests AS r ON r.key = p.request_key
    WHERE w.id IN (p.from_id, p.to_id) AND w.kind = 'user' AND w.status = 'active' AND w.last_seq < p.seq
      AND (w.id = p.from_id OR w.balance + p.amount < 1e10)
      AND p.id = current_setting('azora.wallets_locked_for', true) AND p.type = 'transfer' AND p.stake_id IS NULL
      AND (p.hold_id IS NULL OR EXISTS (
        SELECT FROM (SELECT * FROM public.holds WHERE id = p.hold_id OFFSET 0) AS h
        WHERE h.status = 'captured' AND h.wallet_id = p.from_id AND coalesce(h.to_id, p.to_id) = p.to_id AND h.captured_amount = p.amount))
      AND NOT EXISTS (SELECT FROM posted OFFSET 1);
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved = 2 THEN RETURN NULL; END IF;
    IF moved = 1 THEN PERFORM public.refuse_overflow((SELECT array_agg(id) FROM posted)); END IF;
  END IF;
  IF current_setting('azora.wallets_locked_for_all', true) <> '' THEN
    are_locked := EXISTS (SELECT FROM posted WHERE id = current_setting('azora.wallets_locked_for_all', true));
  END IF;
  IF are_locked THEN
    UPDATE public.wallets AS w SET
      balance = w.balance + sums.change, entries = w.entries + sums.entries, last_seq = sums.last_seq,
      chain = CASE sums.entries WHEN 1 THEN sha256(w.chain || sums.links[1]) ELSE (
        SELECT public.fold_chain(w.chain, listed.link ORDER BY listed.place)
        FROM unnest(sums.links) WITH ORDINALITY AS listed (link, place)) END,
      updated_at = greatest(w.updated_at, sums.newest)
    FROM (
      SELECT side.id, sum(side.change) AS change, count(*) AS entries, min(p.seq) AS first_seq, max(p.seq) AS last_seq,
        array_agg(p.hash || r.hash ORDER BY p.seq) AS links, max(p.created_at) AS newest,
        bool_and(p.type = 'transfer' AND p.stake_id IS NULL AND (p.hold_id IS NULL OR EXISTS (
          SELECT FROM (SELECT * FROM public.holds WHERE id = p.hold_id OFFSET 0) AS h
          WHERE h.status = 'captured' AND h.wallet_id = p.from_id AND coalesce(h.to_id, p.to_id) = p.to_id AND h.captured_amount = p.amount))) AS are_transfers
      FROM posted AS p LEFT JOIN public.requests AS r ON r.key = p.request_key
      CROSS JOIN LATERAL (VALUES (p.from_id, -p.amount), (p.to_id, p.amount)) AS side (id, change)
      GROUP BY side.id
    ) AS sums
    WHERE w.id = sums.id AND sums.are_transfers AND w.kind = 'user' AND w.status = 'active' AND w.last_seq < sums.first_seq
      AND w.balance + sums.change < 1e10;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved <> (SELECT count(*) FROM (SELECT from_id FROM posted UNION SELECT to_id FROM posted) AS sides) THEN
      PERFORM public.refuse_overflow((SELECT array_agg(id) FROM posted));
    END IF;
    RETURN NULL;
  END IF;
  SELECT p.id, p.type, p.from_id, p.to_id, p.amount, p.stake_id, p.hold_id, p.created_at, p.seq, p.hash, r.hash AS request_hash,
    EXISTS (SELECT FROM posted OFFSET 1) AS is_one_of_many
  INTO entry FROM posted AS p LEFT JOIN public.requests AS r ON r.key = p.request_key LIMIT 1;
  IF NOT FOUND THEN
    RETURN NULL;
  ELSIF entry.is_one_of_many OR entry.stake_id IS NOT NULL OR entry.hold_id IS NOT NULL THEN
    PERFORM public.post_entries((SELECT array_agg(id) FROM posted));
    RETURN NULL;
  END IF;
  FOR found_wallet IN
    SELECT id, kind, status, balance, last_seq FROM public.wallets WHERE id IN (entry.from_id, entry.to_id)
    ORDER BY id COLLATE "C" FOR NO KEY UPDATE
  LOOP
    IF found_wallet.id = entry.from_id THEN payer := found_wallet; END IF;
    IF found_wallet.id = entry.to_id THEN receiver := found_wallet; END IF;
  END LOOP;
  IF payer.status = 'closed' OR receiver.status = 'closed' OR NOT public.sides_fit(entry.type, payer.kind, receiver.kind) THEN
    PERFORM public.check_entries(ARRAY[entry.id]);
  END IF;
  IF receiver.balance + entry.amount >= 1e10 OR payer.balance - entry.amount <= -1e10 THEN
    PERFORM public.refuse_balance_limit(
      CASE WHEN receiver.balance + entry.amount >= 1e10 THEN receiver.id ELSE payer.id END);
  END IF;
  IF entry.seq <= greatest(payer.last_seq, receiver.last_seq) THEN
    UPDATE public.transactions SET seq = nextval('public.ledger_seq') WHERE id = entry.id
      RETURNING seq, hash INTO entry.seq, entry.hash;
    IF entry.seq <= greatest(payer.last_seq, receiver.last_seq) THEN
      PERFORM public.refuse_numbers(ARRAY[entry.from_id, entry.to_id]);
    END IF;
  END IF;
  UPDATE public.wallets SET
    balance = balance + CASE id WHEN entry.to_id THEN entry.amount ELSE -entry.amount END,
    earned = earned + CASE
      WHEN id = entry.to_id AND entry.type IN ('reward', 'mining', 'staking_reward') THEN entry.amount ELSE 0 END,
    entries = entries + 1, last_seq = entry.seq, chain = sha256(chain || entry.hash || entry.request_hash),
    updated_at = greatest(updated_at, entry.created_at)
  WHERE id IN (entry.from_id, entry.to_id);
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION capture_hold(request_key text, hash text, transaction_id text, captured_hold_id text, asked_receiver_id text, asked_amount numeric, asked_description text) RETURNS SETOF public.transactions
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
  earlier jsonb := begin_request(request_key, 'capture', hash,
    jsonb_build_object('transactionIds', jsonb_build_array(transaction_id), 'holdId', captured_hold_id));
  hold holds;
  receiver_id text;
  paid numeric;
  locked record;
  at timestamptz;
BEGIN
  IF earlier IS NOT NULL THEN
    RETURN QUERY SELECT * FROM answered_transactions(earlier);
    RETURN;
  END IF;
  hold := lock_hold(captured_hold_id, 'captured');
  PERFORM require_unexpired(hold, database_time());
  IF hold.to_id <> asked_receiver_id OR coalesce(hold.to_id, asked_receiver_id) IS NULL THEN
    PERFORM refuse('hold_receiver', jsonb_build_object('holdId', hold.id, 'isDecided', hold.to_id IS NOT NULL),
      'Who is paid is said once: by the hold, or by the capture.');
  ELSIF asked_amount > hold.amount THEN
    PERFORM refuse('capture_too_large',
      jsonb_build_object('holdId', hold.id, 'held', hold.amount::text, 'asked', trim_scale(asked_amount)::text),
      'Capture what is held or less.');
  END IF;
  paid := coalesce(asked_amount, hold.amount);
  receiver_id := coalesce(hold.to_id, asked_receiver_id);
  PERFORM require_amount(paid);
  locked := lock_wallets(hold.wallet_id, receiver_id);
  IF (locked.receiver).kind <> 'user' THEN
    PERFORM refuse('system_wallet', jsonb_build_object('walletId', receiver_id), 'A hold pays a user.');
  END IF;
  -- The hold may have expired while this call waited for the wallets.
  at := database_time();
  PERFORM require_unexpired(hold, at);
  UPDATE holds SET status = 'captured', captured_amount = paid, resolved_at = at,
      resolved_key = capture_hold.request_key WHERE id = hold.id;
  -- Tells the trigger that the wallets of this row are locked already.
  PERFORM set_config('azora.wallets_locked_for', transaction_id, true);
  RETURN QUERY INSERT INTO transactions
      (id, type, from_id, to_id, currency, amount, hold_id, description, request_key, created_at)
    VALUES (transaction_id, 'transfer', hold.wallet_id, receiver_id, hold.currency, paid, hold.id,
      coalesce(asked_description, hold.description), request_key, at)
    RETURNING *;
END
$$;

-- Locks holds and wallets in the order of every function, before the calls that need them in their own order. False if one stays
-- locked.
CREATE FUNCTION "lock_for_each"("hold_ids" text[], "wallet_ids" text[]) RETURNS boolean LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM FROM holds WHERE id = ANY (hold_ids) ORDER BY id COLLATE "C" FOR NO KEY UPDATE;
  PERFORM FROM wallets
    WHERE id = ANY (wallet_ids || ARRAY(SELECT unnest(ARRAY[h.wallet_id, h.to_id]) FROM holds AS h WHERE h.id = ANY (hold_ids)))
    ORDER BY id COLLATE "C" FOR NO KEY UPDATE;
  RETURN true;
EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
  RETURN false;
END
$$;

CREATE FUNCTION "hold_each"(
  "request_keys" text[], "hashes" text[], "hold_ids" text[], "payer_ids" text[], "receiver_ids" text[], "amounts" numeric[],
  "descriptions" text[], "expire_ins" interval[]
) RETURNS TABLE ("place" integer, "made" "holds") LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off
SET lock_timeout = '100ms' AS $$
DECLARE
  at timestamptz;
  fitting integer[];
BEGIN
  IF NOT lock_for_each('{}', payer_ids || receiver_ids) THEN
    RETURN;
  END IF;
  at := database_time();
  SELECT array_agg(valid.place) INTO fitting FROM (
    SELECT item.place, payer.balance - payer.held AS available, sum(item.amount) OVER (PARTITION BY item.payer_id) AS asked,
      count(*) OVER (PARTITION BY item.key) AS same_key
    FROM unnest(request_keys, payer_ids, receiver_ids, amounts, expire_ins) WITH ORDINALITY
      AS item (key, payer_id, receiver_id, amount, expires_in, place)
    CROSS JOIN LATERAL (SELECT * FROM wallets AS w WHERE w.id = item.payer_id OFFSET 0) AS payer
    LEFT JOIN LATERAL (SELECT * FROM wallets AS w WHERE w.id = item.receiver_id OFFSET 0) AS receiver ON true
    WHERE payer.kind = 'user' AND payer.status = 'active' AND item.payer_id IS DISTINCT FROM item.receiver_id
      AND (item.receiver_id IS NULL
        OR receiver.kind = 'user' AND receiver.status = 'active' AND receiver.currency = payer.currency)
      AND item.amount > 0 AND item.amount < 1e10 AND scale(trim_scale(item.amount)) <= 8
      AND item.expires_in > '0' AND item.expires_in <= '87600 hours'
      AND NOT EXISTS (SELECT FROM requests AS r WHERE r.key = item.key OFFSET 0)
  ) AS valid
  WHERE valid.asked <= valid.available AND valid.same_key = 1;
  IF fitting IS NOT NULL THEN
    INSERT INTO requests (key, operation, body_hash, answer, created_at)
      SELECT request_keys[n], 'hold', hashes[n], jsonb_build_object('transactionIds', '[]'::jsonb, 'holdId', hold_ids[n]), at
      FROM unnest(fitting) AS n ORDER BY request_keys[n] COLLATE "C";
    RETURN QUERY
      INSERT INTO holds (id, wallet_id, to_id, currency, amount, description, request_key, expires_at, created_at)
      SELECT hold_ids[n], payer_ids[n], receiver_ids[n], w.currency, amounts[n], descriptions[n], request_keys[n],
        at + expire_ins[n], at
      FROM unnest(fitting) AS n JOIN wallets AS w ON w.id = payer_ids[n]
      RETURNING array_position(hold_ids, holds.id), holds;
  END IF;
  FOR n IN 1 .. coalesce(cardinality(request_keys), 0) LOOP
    CONTINUE WHEN n = ANY (fitting);
    BEGIN
      SELECT * INTO STRICT made FROM hold_money(request_keys[n], hashes[n], hold_ids[n], payer_ids[n], receiver_ids[n],
        amounts[n], descriptions[n], expire_ins[n]);
      place := n;
      RETURN NEXT;
    EXCEPTION
      WHEN lock_not_available OR deadlock_detected THEN RETURN;
      WHEN OTHERS THEN NULL;
    END;
  END LOOP;
END
$$;

-- The captures that fit are those of the whole amount to the receiver that the hold names.
CREATE FUNCTION "capture_each"(
  "request_keys" text[], "hashes" text[], "transaction_ids" text[], "hold_ids" text[], "receiver_ids" text[],
  "amounts" numeric[], "descriptions" text[]
) RETURNS TABLE ("place" integer, "made" "transactions") LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off
SET lock_timeout = '100ms' AS $$
DECLARE
  at timestamptz;
  fitting integer[];
BEGIN
  IF NOT lock_for_each(hold_ids, receiver_ids) THEN
    RETURN;
  END IF;
  at := database_time();
  SELECT array_agg(valid.place) INTO fitting FROM (
    SELECT item.place, count(*) OVER (PARTITION BY item.key) AS same_key, count(*) OVER (PARTITION BY item.hold_id) AS same_hold
    FROM unnest(request_keys, hold_ids, receiver_ids, amounts) WITH ORDINALITY AS item (key, hold_id, receiver_id, amount, place)
    CROSS JOIN LATERAL (SELECT * FROM holds AS h WHERE h.id = item.hold_id OFFSET 0) AS hold
    CROSS JOIN LATERAL (SELECT * FROM wallets AS w WHERE w.id = hold.wallet_id OFFSET 0) AS payer
    CROSS JOIN LATERAL (SELECT * FROM wallets AS w WHERE w.id = hold.to_id OFFSET 0) AS receiver
    WHERE hold.status = 'held' AND hold.expires_at > at AND item.receiver_id IS NULL AND item.amount IS NULL
      AND payer.status = 'active' AND receiver.status = 'active' AND receiver.kind = 'user'
      AND NOT EXISTS (SELECT FROM requests AS r WHERE r.key = item.key OFFSET 0)
  ) AS valid
  WHERE valid.same_key = 1 AND valid.same_hold = 1;
  IF fitting IS NOT NULL THEN
    INSERT INTO requests (key, operation, body_hash, answer, created_at)
      SELECT request_keys[n], 'capture', hashes[n],
        jsonb_build_object('transactionIds', jsonb_build_array(transaction_ids[n]), 'holdId', hold_ids[n]), at
      FROM unnest(fitting) AS n ORDER BY request_keys[n] COLLATE "C";
    UPDATE holds AS h SET status = 'captured', captured_amount = h.amount, resolved_at = at, resolved_key = request_keys[n]
      FROM unnest(fitting) AS n WHERE h.id = ANY (hold_ids) AND h.id = hold_ids[n];
    -- Tells the trigger that the wallets of all these rows are locked already.
    PERFORM set_config('azora.wallets_locked_for_all', transaction_ids[fitting[1]], true);
    RETURN QUERY
      INSERT INTO transactions (id, type, from_id, to_id, currency, amount, hold_id, description, request_key, created_at)
      SELECT transaction_ids[n], 'transfer', h.wallet_id, h.to_id, h.currency, h.amount, h.id,
        coalesce(descriptions[n], h.description), request_keys[n], at
      FROM unnest(fitting) AS n CROSS JOIN LATERAL (SELECT * FROM holds WHERE holds.id = hold_ids[n] OFFSET 0) AS h
      RETURNING array_position(transaction_ids, transactions.id), transactions;
  END IF;
  FOR n IN 1 .. coalesce(cardinality(request_keys), 0) LOOP
    CONTINUE WHEN n = ANY (fitting);
    BEGIN
      SELECT * INTO STRICT made FROM capture_hold(request_keys[n], hashes[n], transaction_ids[n], hold_ids[n], receiver_ids[n],
        amounts[n], descriptions[n]);
      place := n;
      RETURN NEXT;
    EXCEPTION
      WHEN lock_not_available OR deadlock_detected THEN RETURN;
      WHEN OTHERS THEN NULL;
    END;
  END LOOP;
END
$$;
