-- Why: a session keeps the plans of its functions. A plan from when requests had one row walked through the whole index of requests,
-- since that cost as much as one lookup then; enable_seqscan = off does not forbid it. After 6,000 transfers, the next one
-- took three times as long. A lookup in a LATERAL query that is not pulled up, or by a list of keys, has no such plan.
-- Locks: none but on the functions, for milliseconds.
-- Runs again: yes.

SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION answered_transactions(answer jsonb)
 RETURNS SETOF transactions
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'public', 'pg_temp'
AS $$
  SELECT t.* FROM jsonb_array_elements_text(answer -> 'transactionIds') WITH ORDINALITY AS listed (id, place)
  CROSS JOIN LATERAL (SELECT * FROM transactions WHERE id = listed.id OFFSET 0) AS t ORDER BY listed.place
$$;

CREATE OR REPLACE FUNCTION check_entries(entry_ids text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'public', 'pg_temp'
AS $$
BEGIN
  PERFORM check_entry(entry, (SELECT w FROM wallets AS w WHERE w.id = entry.from_id),
    (SELECT w FROM wallets AS w WHERE w.id = entry.to_id))
  FROM transactions AS entry
  WHERE entry.id = ANY (entry_ids);
END
$$;

CREATE OR REPLACE FUNCTION check_entry(entry transactions, payer wallets, receiver wallets)
 RETURNS void
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
    SELECT FROM (SELECT * FROM stakes WHERE id = entry.stake_id OFFSET 0) AS s
    WHERE s.wallet_id = CASE entry.type WHEN 'stake' THEN payer.id ELSE receiver.id END
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

CREATE OR REPLACE FUNCTION check_stake_funded()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'public', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET jit TO 'off'
AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM transactions WHERE stake_id = NEW.id AND type = 'stake') THEN
    PERFORM refuse('stake_unfunded', jsonb_build_object('stakeId', NEW.id),
      'Insert its transaction of type stake in the same database transaction.');
  END IF;
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION check_transfers(payer_ids text[], receiver_ids text[], amounts numeric[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'public', 'pg_temp'
AS $$
DECLARE
  wrong record;
BEGIN
  PERFORM require_amount(amount) FROM unnest(amounts) AS amount;
  SELECT asked.*, p.id AS payer, r.id AS receiver, p.currency AS paid, r.currency AS received,
    p.kind <> 'user' OR r.kind <> 'user' AS is_system, p.kind <> 'user' AS is_payer_system,
    p.status = 'closed' OR r.status = 'closed' AS is_closed, p.status = 'closed' AS is_payer_closed
  INTO wrong
  FROM unnest(payer_ids, receiver_ids) WITH ORDINALITY AS asked (payer_id, receiver_id, place)
  LEFT JOIN LATERAL (SELECT * FROM wallets WHERE id = asked.payer_id OFFSET 0) AS p ON true
  LEFT JOIN LATERAL (SELECT * FROM wallets WHERE id = asked.receiver_id OFFSET 0) AS r ON true
  WHERE p.id IS NULL OR r.id IS NULL OR p.id = r.id OR p.currency <> r.currency OR p.kind <> 'user' OR r.kind <> 'user'
    OR p.status = 'closed' OR r.status = 'closed'
  ORDER BY asked.place LIMIT 1;
  IF FOUND THEN
    IF wrong.payer_id = wrong.receiver_id THEN
      PERFORM refuse('same_wallet', jsonb_build_object('walletId', wrong.payer_id, 'place', wrong.place),
        'Name two different wallets.');
    ELSIF wrong.payer IS NULL OR wrong.receiver IS NULL THEN
      PERFORM refuse('wallet_not_found', jsonb_build_object('place', wrong.place,
        'walletId', CASE WHEN wrong.payer IS NULL THEN wrong.payer_id ELSE wrong.receiver_id END), 'Open it first.');
    ELSIF wrong.is_closed THEN
      PERFORM refuse('wallet_closed', jsonb_build_object('place', wrong.place,
        'walletId', CASE WHEN wrong.is_payer_closed THEN wrong.payer_id ELSE wrong.receiver_id END),
        'Name an active wallet.');
    ELSIF wrong.is_system THEN
      PERFORM refuse('system_wallet', jsonb_build_object('place', wrong.place,
        'walletId', CASE WHEN wrong.is_payer_system THEN wrong.payer_id ELSE wrong.receiver_id END),
        'Money moves from and to the system by minting, burning and staking only.');
    END IF;
    PERFORM refuse('currency_mismatch',
      jsonb_build_object('place', wrong.place, 'from', wrong.paid, 'to', wrong.received),
        'Both wallets must have one currency.');
  END IF;
  SELECT w.id, w.balance - w.held AS available, -sums.change AS asked INTO wrong
  FROM (
    SELECT wallet_id, sum(change) AS change FROM (
      SELECT payer_id AS wallet_id, -amount AS change FROM unnest(payer_ids, amounts) AS paid (payer_id, amount)
      UNION ALL
      SELECT receiver_id, amount FROM unnest(receiver_ids, amounts) AS received (receiver_id, amount)
    ) AS sides GROUP BY wallet_id
  ) AS sums CROSS JOIN LATERAL (SELECT * FROM wallets WHERE id = sums.wallet_id OFFSET 0) AS w
  WHERE w.balance - w.held + sums.change < 0 ORDER BY w.id LIMIT 1;
  IF FOUND THEN
    PERFORM refuse('insufficient_funds', jsonb_build_object('walletId', wrong.id, 'available', wrong.available::text,
      'asked', trim_scale(wrong.asked)::text), 'Bring money into the wallet, or ask for less.');
  END IF;
END
$$;

CREATE OR REPLACE FUNCTION extend_chains(wallet_ids text[], seqs bigint[], links bytea[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'public', 'pg_temp'
AS $$
DECLARE
  extended integer;
BEGIN
  UPDATE wallets AS w SET entries = w.entries + events.count, last_seq = events.last_seq, chain = events.chain
  FROM (
    SELECT event.wallet_id, count(*) AS count, min(event.seq) AS first_seq, max(event.seq) AS last_seq,
      fold_chain(wallet.chain, event.link ORDER BY event.seq) AS chain
    FROM unnest(wallet_ids, seqs, links) AS event (wallet_id, seq, link)
    CROSS JOIN LATERAL (SELECT chain FROM wallets WHERE id = event.wallet_id OFFSET 0) AS wallet GROUP BY event.wallet_id
  ) AS events
  WHERE w.id = ANY (wallet_ids) AND w.id = events.wallet_id AND w.last_seq < events.first_seq;
  GET DIAGNOSTICS extended = ROW_COUNT;
  IF extended <> (SELECT count(DISTINCT id) FROM unnest(wallet_ids) AS id) THEN PERFORM refuse_numbers(wallet_ids); END IF;
END
$$;

CREATE OR REPLACE FUNCTION post_entries(entry_ids text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'public', 'pg_temp'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
AS $$
DECLARE
  sides integer;
  moved integer;
  misfits text[];
BEGIN
  PERFORM FROM wallets
  WHERE id = ANY (ARRAY(SELECT unnest(ARRAY[from_id, to_id]) FROM transactions WHERE id = ANY (entry_ids)))
  ORDER BY id COLLATE "C" FOR NO KEY UPDATE;
  GET DIAGNOSTICS sides = ROW_COUNT;
  SELECT array_agg(p.id) INTO misfits
  FROM transactions AS p
  CROSS JOIN LATERAL (SELECT * FROM wallets WHERE id = p.from_id OFFSET 0) AS f
  CROSS JOIN LATERAL (SELECT * FROM wallets WHERE id = p.to_id OFFSET 0) AS t
  WHERE p.id = ANY (entry_ids) AND (p.stake_id IS NOT NULL OR p.hold_id IS NOT NULL
    OR f.status = 'closed' OR t.status = 'closed' OR NOT sides_fit(p.type, f.kind, t.kind));
  IF misfits IS NOT NULL THEN PERFORM check_entries(misfits); END IF;
  -- Another session may have locked a wallet between the number of a row and this statement's lock.
  IF EXISTS (
    SELECT FROM transactions AS p
    CROSS JOIN LATERAL (SELECT last_seq FROM wallets WHERE id = p.from_id OFFSET 0) AS f
    CROSS JOIN LATERAL (SELECT last_seq FROM wallets WHERE id = p.to_id OFFSET 0) AS t
    WHERE p.id = ANY (entry_ids) AND p.seq <= greatest(f.last_seq, t.last_seq)
  ) THEN
    UPDATE transactions AS p SET seq = renumbered.seq
    FROM (
      SELECT id, nextval('ledger_seq') AS seq
      FROM (SELECT id FROM transactions WHERE id = ANY (entry_ids) ORDER BY transactions.seq) AS ordered
    ) AS renumbered
    WHERE p.id = ANY (entry_ids) AND p.id = renumbered.id;
  END IF;
  UPDATE wallets AS w SET balance = w.balance + sums.change, earned = w.earned + sums.earned,
    entries = w.entries + sums.entries, last_seq = sums.last_seq, chain = sums.chain,
    updated_at = greatest(w.updated_at, sums.newest)
  FROM (
    SELECT side.id, sum(side.change) AS change, sum(side.earned) AS earned, count(*) AS entries, min(side.seq) AS first_seq,
      max(side.seq) AS last_seq, fold_chain(wallet.chain, side.link ORDER BY side.seq) AS chain, max(side.at) AS newest
    FROM (
      SELECT place.id, CASE WHEN place.is_receiver THEN p.amount ELSE -p.amount END AS change,
        CASE WHEN place.is_receiver AND p.type IN ('reward', 'mining', 'staking_reward') THEN p.amount ELSE 0 END AS earned,
        p.seq, p.hash || coalesce(r.hash, '') || coalesce(s.hash, '') AS link, p.created_at AS at
      FROM transactions AS p
      LEFT JOIN LATERAL (SELECT hash FROM requests WHERE key = p.request_key OFFSET 0) AS r ON true
      LEFT JOIN LATERAL (SELECT hash FROM stakes WHERE id = p.stake_id OFFSET 0) AS s ON true
      CROSS JOIN LATERAL (VALUES (p.from_id, false), (p.to_id, true)) AS place (id, is_receiver)
      WHERE p.id = ANY (entry_ids)
    ) AS side CROSS JOIN LATERAL (SELECT chain FROM wallets WHERE id = side.id OFFSET 0) AS wallet GROUP BY side.id
  ) AS sums
  WHERE w.id = ANY (ARRAY(SELECT unnest(ARRAY[from_id, to_id]) FROM transactions WHERE id = ANY (entry_ids)))
    AND w.id = sums.id AND w.balance + sums.change < 1e10 AND w.balance + sums.change > -1e10
    AND w.earned + sums.earned < 1e10 AND w.last_seq < sums.first_seq;
  GET DIAGNOSTICS moved = ROW_COUNT;
  IF moved <> sides THEN PERFORM refuse_overflow(entry_ids); END IF;
  IF misfits IS NOT NULL THEN
    UPDATE stakes AS s SET rewards_earned = s.rewards_earned + paid.rewards, updated_at = greatest(s.updated_at, paid.newest),
      status = CASE WHEN paid.withdrawn_at IS NULL THEN s.status ELSE 'withdrawn' END,
      withdrawn_at = coalesce(paid.withdrawn_at, s.withdrawn_at)
    FROM (
      SELECT stake_id, coalesce(sum(amount) FILTER (WHERE type = 'staking_reward'), 0) AS rewards, max(created_at) AS newest,
        max(created_at) FILTER (WHERE type = 'unstake') AS withdrawn_at
      FROM transactions WHERE id = ANY (misfits) AND type IN ('unstake', 'staking_reward') GROUP BY stake_id
    ) AS paid
    WHERE s.id = ANY (ARRAY(SELECT stake_id FROM transactions WHERE id = ANY (misfits))) AND s.id = paid.stake_id;
  END IF;
END
$$;

CREATE OR REPLACE FUNCTION post_holds()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'public', 'pg_temp'
AS $$
DECLARE
  changed record;
  party record;
  events record;
BEGIN
  IF TG_OP = 'INSERT' THEN
    FOR changed IN
      SELECT wallet_id, sum(amount) AS change, max(created_at) AS newest FROM posted
      GROUP BY wallet_id ORDER BY wallet_id COLLATE "C"
    LOOP
      UPDATE wallets SET held = held + changed.change, updated_at = greatest(updated_at, changed.newest)
        WHERE id = changed.wallet_id;
    END LOOP;
    FOR party IN
      SELECT w.id, w.kind, w.status FROM (SELECT wallet_id AS id FROM posted UNION SELECT to_id FROM posted) AS sides
      CROSS JOIN LATERAL (SELECT * FROM wallets WHERE wallets.id = sides.id OFFSET 0) AS w
      WHERE w.kind <> 'user' OR w.status = 'closed' LIMIT 1
    LOOP
      PERFORM refuse(CASE party.status WHEN 'closed' THEN 'wallet_closed' ELSE 'system_wallet' END,
        jsonb_build_object('walletId', party.id, 'kind', party.kind), 'A hold is between two active wallets of users.');
    END LOOP;
    SELECT array_agg(p.wallet_id) AS wallet_ids, array_agg(p.seq) AS seqs, array_agg(p.hash || r.hash) AS links
    INTO events FROM posted AS p
    CROSS JOIN LATERAL (SELECT hash FROM requests WHERE key = p.request_key OFFSET 0) AS r;
  ELSE
    -- An update that only writes the numbers of events comes from below.
    IF NOT EXISTS (SELECT FROM earlier JOIN posted USING (id) WHERE earlier.status <> posted.status) THEN RETURN NULL; END IF;
    FOR changed IN
      SELECT wallet_id, sum(change) AS change, max(moment) AS newest FROM (
        SELECT wallet_id, -amount AS change, NULL::timestamptz AS moment FROM earlier WHERE status = 'held'
        UNION ALL
        SELECT wallet_id, CASE status WHEN 'held' THEN amount ELSE 0 END, resolved_at FROM posted
      ) AS changes
      GROUP BY wallet_id ORDER BY wallet_id COLLATE "C"
    LOOP
      UPDATE wallets SET held = held + changed.change, updated_at = greatest(updated_at, changed.newest)
        WHERE id = changed.wallet_id;
    END LOOP;
    -- The numbers are taken now, because the wallets are locked only now.
    WITH numbered AS (
      UPDATE holds SET resolved_seq = nextval('ledger_seq') WHERE id = ANY (ARRAY(SELECT id FROM posted))
      RETURNING wallet_id, resolved_seq, resolved_hash, resolved_key
    )
    SELECT array_agg(n.wallet_id) AS wallet_ids, array_agg(n.resolved_seq) AS seqs,
      array_agg(n.resolved_hash || coalesce(r.hash, '')) AS links
    INTO events FROM numbered AS n
    LEFT JOIN LATERAL (SELECT hash FROM requests WHERE key = n.resolved_key OFFSET 0) AS r ON true;
  END IF;
  PERFORM extend_chains(events.wallet_ids, events.seqs, events.links);
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION post_mining_records()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'public', 'pg_temp'
AS $$
BEGIN
  PERFORM extend_chains(array_agg(event.wallet_id), array_agg(event.seq), array_agg(event.link))
  FROM (
    SELECT p.wallet_id, p.seq, p.hash || coalesce(r.hash, '') AS link
      FROM posted AS p
      LEFT JOIN LATERAL (SELECT hash FROM requests WHERE key = p.request_key OFFSET 0) AS r ON true WHERE TG_OP = 'INSERT'
    UNION ALL
    SELECT p.wallet_id, p.decided_seq, p.decided_hash FROM posted AS p WHERE p.decided_hash IS NOT NULL
  ) AS event;
  INSERT INTO mining_totals AS totals (wallet_id, mined, created_at, updated_at)
  SELECT shares.wallet_id, sum(shares.reward), min(shares.decided_at), max(shares.decided_at)
  FROM (
    SELECT wallet_id, reward, decided_at FROM posted WHERE status = 'rewarded'
    UNION ALL
    SELECT system_wallet('treasury', 'AZR'), reward, decided_at FROM posted WHERE status = 'rewarded'
  ) AS shares
  GROUP BY shares.wallet_id ORDER BY shares.wallet_id COLLATE "C"
  ON CONFLICT (wallet_id) DO UPDATE
    SET mined = totals.mined + excluded.mined, updated_at = greatest(totals.updated_at, excluded.updated_at);
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION post_transactions()
 RETURNS trigger
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
    FROM posted AS p CROSS JOIN LATERAL (SELECT hash FROM public.requests WHERE key = p.request_key OFFSET 0) AS r
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
      FROM posted AS p
      LEFT JOIN LATERAL (SELECT hash FROM public.requests WHERE key = p.request_key OFFSET 0) AS r ON true
      CROSS JOIN LATERAL (VALUES (p.from_id, -p.amount), (p.to_id, p.amount)) AS side (id, change)
      GROUP BY side.id
    ) AS sums
    WHERE w.id = ANY (ARRAY(SELECT unnest(ARRAY[from_id, to_id]) FROM posted)) AND w.id = sums.id AND sums.are_transfers AND w.kind = 'user' AND w.status = 'active' AND w.last_seq < sums.first_seq
      AND w.balance + sums.change < 1e10;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved <> (SELECT count(*) FROM (SELECT from_id FROM posted UNION SELECT to_id FROM posted) AS sides) THEN
      PERFORM public.refuse_overflow((SELECT array_agg(id) FROM posted));
    END IF;
    RETURN NULL;
  END IF;
  SELECT p.id, p.type, p.from_id, p.to_id, p.amount, p.stake_id, p.hold_id, p.created_at, p.seq, p.hash, r.hash AS request_hash,
    EXISTS (SELECT FROM posted OFFSET 1) AS is_one_of_many
  INTO entry FROM posted AS p
  LEFT JOIN LATERAL (SELECT hash FROM public.requests WHERE key = p.request_key OFFSET 0) AS r ON true LIMIT 1;
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

CREATE OR REPLACE FUNCTION publish_holds()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO public.outbox (type, key, payload, created_at)
    SELECT 'mint.hold-placed.v1', left(p.wallet_id, 200),
      jsonb_build_object('holdId', p.id, 'walletId', p.wallet_id, 'toWalletId', p.to_id, 'currency', p.currency,
        'expiresAt', p.expires_at, 'requestKeyHash', encode(sha256(convert_to(p.request_key, 'UTF8')), 'hex'),
        'seq', p.seq::text),
      p.created_at
    FROM posted AS p ORDER BY p.seq;
  ELSE
    INSERT INTO public.outbox (type, key, payload, created_at)
    SELECT CASE p.status WHEN 'captured' THEN 'mint.hold-captured.v1' ELSE 'mint.hold-released.v1' END, left(p.wallet_id, 200),
      jsonb_build_object('holdId', p.id, 'walletId', p.wallet_id, 'toWalletId', p.to_id, 'currency', p.currency,
        'seq', h.resolved_seq::text)
        || CASE p.status WHEN 'captured' THEN '{}'::jsonb ELSE jsonb_build_object('reason', p.status) END,
      p.resolved_at
    FROM posted AS p JOIN earlier AS e ON e.id = p.id
    CROSS JOIN LATERAL (SELECT resolved_seq FROM public.holds WHERE id = p.id OFFSET 0) AS h
    WHERE e.status = 'held' AND p.status <> 'held' ORDER BY h.resolved_seq;
  END IF;
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION release_hold(request_key text, hash text, released_hold_id text)
 RETURNS SETOF holds
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'public', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET jit TO 'off'
AS $$
DECLARE
  earlier jsonb := begin_request(request_key, 'release', hash,
    jsonb_build_object('transactionIds', '[]'::jsonb, 'holdId', released_hold_id));
  hold holds;
BEGIN
  IF earlier IS NULL THEN
    hold := lock_hold(released_hold_id, 'released');
    UPDATE holds SET status = 'released', resolved_at = database_time(), resolved_key = release_hold.request_key
      WHERE id = hold.id;
  END IF;
  RETURN QUERY SELECT * FROM holds WHERE id = released_hold_id;
END
$$;

CREATE OR REPLACE FUNCTION transfer_many(request_key text, hash text, transaction_ids text[], payer_ids text[], receiver_ids text[], amounts numeric[], descriptions text[])
 RETURNS SETOF transactions
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'public', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET jit TO 'off'
AS $$
DECLARE
  earlier jsonb := begin_request(request_key, 'transferMany', hash,
    jsonb_build_object('transactionIds', to_jsonb(transaction_ids)));
  fits boolean;
  at timestamptz;
  locked_for text;
BEGIN
  IF earlier IS NOT NULL THEN
    RETURN QUERY SELECT * FROM answered_transactions(earlier);
    RETURN;
  END IF;
  SELECT bool_and((sums.fits AND sums.found = 1 AND sums.rest >= 0) IS TRUE)
    AND min(sums.currency) = max(sums.currency)
  INTO fits
  FROM (
    SELECT bool_and(side.fits) AS fits, count(side.currency) AS found, sum(side.change) AS rest,
      max(side.currency) AS currency
    FROM (
      SELECT id AS wallet_id, currency, balance - held AS change, kind = 'user' AND status = 'active' AS fits
      FROM (
        SELECT * FROM wallets WHERE id = ANY (payer_ids || receiver_ids) ORDER BY id COLLATE "C" FOR NO KEY UPDATE
      ) AS locked
      UNION ALL
      SELECT payer_id, NULL, -amount,
        (payer_id <> receiver_id AND amount > 0 AND amount < 1e10 AND scale(trim_scale(amount)) <= 8) IS TRUE
      FROM unnest(payer_ids, receiver_ids, amounts) AS paid (payer_id, receiver_id, amount)
      UNION ALL
      SELECT receiver_id, NULL, amount, true
      FROM unnest(receiver_ids, amounts) AS received (receiver_id, amount)
    ) AS side GROUP BY side.wallet_id
  ) AS sums;
  IF fits IS NOT TRUE THEN PERFORM check_transfers(payer_ids, receiver_ids, amounts); END IF;
  at := database_time();
  -- Tells the trigger that the wallets of all these rows are locked already.
  locked_for := set_config('azora.wallets_locked_for_all', transaction_ids[1], true);
  RETURN QUERY INSERT INTO transactions
      (id, type, from_id, to_id, currency, amount, description, request_key, created_at)
    SELECT asked.id, 'transfer', asked.payer_id, asked.receiver_id, w.currency, asked.amount, asked.description,
      request_key, at
    FROM unnest(transaction_ids, payer_ids, receiver_ids, amounts, descriptions) WITH ORDINALITY
      AS asked (id, payer_id, receiver_id, amount, description, place)
    CROSS JOIN LATERAL (SELECT currency FROM wallets WHERE wallets.id = asked.payer_id OFFSET 0) AS w
    ORDER BY asked.place
    RETURNING *;
END
$$;
