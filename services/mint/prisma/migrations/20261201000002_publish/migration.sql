-- Movements of money, holds, stakes, wallets and judged proofs are published: triggers write the events into the outbox, so no
-- client can change the ledger without them. Each trigger fires after those that lock the wallets of the row, because the
-- position of an event is taken when it is written: the events of one wallet have the order of its changes.
-- A payload has ids, enums, times and amounts of transactions and stakes. Descriptions are left out, and so are the
-- amounts of holds and the scores of proofs, which the schema marks as personal. A key of a request is text of the
-- caller, so its hash stands for it.
-- Locks: SHARE ROW EXCLUSIVE on five tables, for the triggers, for milliseconds.

SET LOCAL lock_timeout = '5s';

-- The key is the wallet of the user: the payer, or the receiver of money of the system. All events of a system wallet would
-- otherwise wait behind one that fails. The number of a row may have changed after the statement, so it is read again.
CREATE FUNCTION publish_transactions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO public.outbox (type, key, payload)
  SELECT 'mint.transaction-posted.v1',
    left(CASE WHEN t.type IN ('transfer', 'burn', 'stake') THEN t.from_id ELSE t.to_id END, 200),
    jsonb_build_object('transactionId', t.id, 'transactionType', t.type, 'fromWalletId', t.from_id, 'toWalletId', t.to_id,
      'currency', t.currency, 'amount', t.amount::text, 'holdId', t.hold_id, 'stakeId', t.stake_id,
      'requestKeyHash', encode(sha256(convert_to(t.request_key, 'UTF8')), 'hex'), 'seq', t.seq, 'postedAt', t.created_at)
  FROM posted AS p JOIN public.transactions AS t ON t.id = p.id
  ORDER BY t.seq;
  RETURN NULL;
END
$$;

CREATE TRIGGER zz_transactions_publish AFTER INSERT ON transactions REFERENCING NEW TABLE AS posted
  FOR EACH STATEMENT EXECUTE FUNCTION publish_transactions();

-- The database resolves a hold in a second update, which only writes the number of the event; see post_holds.
CREATE FUNCTION publish_holds() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO public.outbox (type, key, payload)
    SELECT 'mint.hold-placed.v1', left(p.wallet_id, 200),
      jsonb_build_object('holdId', p.id, 'walletId', p.wallet_id, 'toWalletId', p.to_id, 'currency', p.currency,
        'expiresAt', p.expires_at, 'requestKeyHash', encode(sha256(convert_to(p.request_key, 'UTF8')), 'hex'), 'seq', p.seq)
    FROM posted AS p ORDER BY p.seq;
  ELSE
    INSERT INTO public.outbox (type, key, payload)
    SELECT CASE p.status WHEN 'captured' THEN 'mint.hold-captured.v1' ELSE 'mint.hold-released.v1' END, left(p.wallet_id, 200),
      jsonb_build_object('holdId', p.id, 'walletId', p.wallet_id, 'toWalletId', p.to_id, 'currency', p.currency,
        'resolvedAt', p.resolved_at, 'seq', h.resolved_seq)
        || CASE p.status WHEN 'captured' THEN '{}'::jsonb ELSE jsonb_build_object('reason', p.status) END
    FROM posted AS p JOIN earlier AS e ON e.id = p.id JOIN public.holds AS h ON h.id = p.id
    WHERE e.status = 'held' AND p.status <> 'held' ORDER BY h.resolved_seq;
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER zz_holds_publish_placed AFTER INSERT ON holds REFERENCING NEW TABLE AS posted
  FOR EACH STATEMENT EXECUTE FUNCTION publish_holds();
CREATE TRIGGER zz_holds_publish_resolved AFTER UPDATE ON holds REFERENCING OLD TABLE AS earlier NEW TABLE AS posted
  FOR EACH STATEMENT EXECUTE FUNCTION publish_holds();

-- Rewards are published when they are paid, not when they accrue. The wallet is locked by the transaction that pays them.
CREATE FUNCTION publish_stake() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  about jsonb := jsonb_build_object('stakeId', NEW.id, 'walletId', NEW.wallet_id,
    'currency', (SELECT currency FROM public.wallets WHERE id = NEW.wallet_id));
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO public.outbox (type, key, payload)
    VALUES ('mint.stake-opened.v1', left(NEW.wallet_id, 200), about || jsonb_build_object('amount', NEW.amount::text,
      'annualRate', NEW.annual_rate::text, 'startedAt', NEW.started_at, 'lockedUntil', NEW.locked_until));
    RETURN NULL;
  END IF;
  IF NEW.rewards_earned > OLD.rewards_earned THEN
    INSERT INTO public.outbox (type, key, payload)
    VALUES ('mint.stake-rewarded.v1', left(NEW.wallet_id, 200), about || jsonb_build_object(
      'reward', (NEW.rewards_earned - OLD.rewards_earned)::text, 'rewardsPaid', NEW.rewards_earned::text));
  END IF;
  IF NEW.status = 'withdrawn' AND OLD.status <> 'withdrawn' THEN
    INSERT INTO public.outbox (type, key, payload)
    VALUES ('mint.stake-ended.v1', left(NEW.wallet_id, 200), about || jsonb_build_object('amount', NEW.amount::text,
      'rewardsPaid', NEW.rewards_earned::text, 'withdrawnAt', NEW.withdrawn_at));
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER zz_stakes_publish_opened AFTER INSERT ON stakes FOR EACH ROW EXECUTE FUNCTION publish_stake();
CREATE TRIGGER zz_stakes_publish_paid AFTER UPDATE OF status, rewards_earned ON stakes FOR EACH ROW
  WHEN (NEW.rewards_earned > OLD.rewards_earned OR NEW.status <> OLD.status) EXECUTE FUNCTION publish_stake();

CREATE FUNCTION publish_wallet() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO public.outbox (type, key, payload)
  VALUES (TG_ARGV[0], left(NEW.id, 200),
    jsonb_build_object('walletId', NEW.id, 'userId', NEW.user_id, 'currency', NEW.currency));
  RETURN NULL;
END
$$;

-- The row of a wallet changes with each transaction, so the trigger looks at the status only.
CREATE TRIGGER zz_wallets_publish_opened AFTER INSERT ON wallets FOR EACH ROW WHEN (NEW.kind = 'user')
  EXECUTE FUNCTION publish_wallet('mint.wallet-opened.v1');
CREATE TRIGGER zz_wallets_publish_closed AFTER UPDATE OF status ON wallets FOR EACH ROW
  WHEN (OLD.status IS DISTINCT FROM NEW.status AND NEW.status = 'closed')
  EXECUTE FUNCTION publish_wallet('mint.wallet-closed.v1');

CREATE FUNCTION publish_knowledge() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  about jsonb := jsonb_build_object('recordId', NEW.id, 'walletId', NEW.wallet_id, 'activity', NEW.activity,
    'courseId', NEW.course_id, 'seq', NEW.decided_seq);
BEGIN
  IF NEW.status = 'rewarded' THEN
    INSERT INTO public.outbox (type, key, payload)
    VALUES ('mint.knowledge-rewarded.v1', left(NEW.wallet_id, 200),
      about || jsonb_build_object('transactionId', NEW.transaction_id, 'reward', NEW.reward::text));
  ELSE
    INSERT INTO public.outbox (type, key, payload)
    VALUES ('mint.knowledge-rejected.v1', left(NEW.wallet_id, 200), about || jsonb_build_object('rejection', NEW.rejection));
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER zz_mining_records_publish_born AFTER INSERT ON mining_records FOR EACH ROW WHEN (NEW.status <> 'pending')
  EXECUTE FUNCTION publish_knowledge();
CREATE TRIGGER zz_mining_records_publish_decided AFTER UPDATE OF status ON mining_records FOR EACH ROW
  WHEN (OLD.status = 'pending' AND NEW.status <> 'pending') EXECUTE FUNCTION publish_knowledge();
