-- Movements of money, holds, stakes, wallets and judged proofs are published: triggers write the events into the outbox, so no
-- client can change the ledger without them. Each trigger fires after those that lock the wallets of the row, because the
-- position of an event is taken when it is written: the events of one wallet have the order of its changes.
-- An event has the time of its row.
-- A payload has ids, enums, times, and the amounts of transactions and stakes. Descriptions are left out, and so are the
-- amounts of holds and the scores of proofs, which the schema marks as personal. The key of a request is text of the
-- caller, so its hash stands for it.
-- Locks: SHARE ROW EXCLUSIVE on five tables, for the triggers, for milliseconds.

SET LOCAL lock_timeout = '5s';

-- The key is the wallet of the user: the payer, or the receiver of money of the system. All events of a system wallet would
-- otherwise wait behind one that fails. Each transfer runs this function, so it makes one statement without volatile functions,
-- which would cost a node of the plan, and builds the payload from text.
CREATE FUNCTION publish_transactions() RETURNS trigger LANGUAGE plpgsql
  SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO public.outbox (type, key, payload, created_at)
  SELECT 'mint.transaction-posted.v1',
    left(CASE WHEN p.type IN ('transfer', 'burn', 'stake') THEN p.from_id ELSE p.to_id END, 200),
    jsonb_object(ARRAY['transactionId', p.id, 'transactionType', p.type::text, 'fromWalletId', p.from_id,
      'toWalletId', p.to_id, 'currency', p.currency::text, 'amount', p.amount::text, 'holdId', p.hold_id,
      'stakeId', p.stake_id, 'requestKeyHash', encode(sha256(convert_to(p.request_key, 'UTF8')), 'hex'), 'seq', p.seq::text]),
    p.created_at
  FROM posted AS p;
  IF current_setting('azora.renumbered', true) = 'yes' THEN
    UPDATE public.outbox AS o SET payload = o.payload || jsonb_build_object('seq', t.seq::text)
    FROM public.transactions AS t
    WHERE o.transaction_id = pg_current_xact_id()::text::bigint AND o.type = 'mint.transaction-posted.v1'
      AND t.id = o.payload ->> 'transactionId' AND o.payload ->> 'seq' <> t.seq::text;
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER zz_transactions_publish AFTER INSERT ON transactions REFERENCING NEW TABLE AS posted
  FOR EACH STATEMENT EXECUTE FUNCTION publish_transactions();

-- A row that was numbered before another session locked its wallet gets a new number while it is posted: the only update of a
-- transaction. "posted" still has the old number.
CREATE FUNCTION note_renumbering() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('azora.renumbered', 'yes', true);
  RETURN NULL;
END
$$;

CREATE TRIGGER zz_transactions_renumbered AFTER UPDATE ON transactions
  FOR EACH STATEMENT EXECUTE FUNCTION note_renumbering();

-- post_holds writes the number of a resolution in an update of its own, which changes no status.
CREATE FUNCTION publish_holds() RETURNS trigger LANGUAGE plpgsql
  SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
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
CREATE FUNCTION publish_stake() RETURNS trigger LANGUAGE plpgsql
  SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  about jsonb := jsonb_build_object('stakeId', NEW.id, 'walletId', NEW.wallet_id,
    'currency', (SELECT currency FROM public.wallets WHERE id = NEW.wallet_id));
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO public.outbox (type, key, payload, created_at)
    VALUES ('mint.stake-opened.v1', left(NEW.wallet_id, 200), about || jsonb_build_object('amount', NEW.amount::text,
      'annualRate', NEW.annual_rate::text, 'lockedUntil', NEW.locked_until), NEW.created_at);
    RETURN NULL;
  END IF;
  IF NEW.rewards_earned > OLD.rewards_earned THEN
    INSERT INTO public.outbox (type, key, payload, created_at)
    VALUES ('mint.stake-rewarded.v1', left(NEW.wallet_id, 200), about || jsonb_build_object(
      'reward', (NEW.rewards_earned - OLD.rewards_earned)::text, 'rewardsPaid', NEW.rewards_earned::text),
      NEW.updated_at);
  END IF;
  IF NEW.status = 'withdrawn' AND OLD.status <> 'withdrawn' THEN
    INSERT INTO public.outbox (type, key, payload, created_at)
    VALUES ('mint.stake-ended.v1', left(NEW.wallet_id, 200), about || jsonb_build_object('amount', NEW.amount::text,
      'rewardsPaid', NEW.rewards_earned::text), NEW.withdrawn_at);
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER zz_stakes_publish_opened AFTER INSERT ON stakes FOR EACH ROW EXECUTE FUNCTION publish_stake();
CREATE TRIGGER zz_stakes_publish_paid AFTER UPDATE OF status, rewards_earned ON stakes FOR EACH ROW
  WHEN (NEW.rewards_earned > OLD.rewards_earned OR NEW.status <> OLD.status) EXECUTE FUNCTION publish_stake();

CREATE FUNCTION publish_wallet() RETURNS trigger LANGUAGE plpgsql
  SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO public.outbox (type, key, payload, created_at)
  VALUES (TG_ARGV[0], left(NEW.id, 200),
    jsonb_build_object('walletId', NEW.id, 'userId', NEW.user_id, 'currency', NEW.currency),
    coalesce(NEW.closed_at, NEW.created_at));
  RETURN NULL;
END
$$;

-- The row of a wallet changes with each transaction, so the second trigger looks at changes of the status only.
CREATE TRIGGER zz_wallets_publish_opened AFTER INSERT ON wallets FOR EACH ROW WHEN (NEW.kind = 'user')
  EXECUTE FUNCTION publish_wallet('mint.wallet-opened.v1');
CREATE TRIGGER zz_wallets_publish_closed AFTER UPDATE OF status ON wallets FOR EACH ROW
  WHEN (OLD.status <> NEW.status AND NEW.status = 'closed') EXECUTE FUNCTION publish_wallet('mint.wallet-closed.v1');

CREATE FUNCTION publish_knowledge() RETURNS trigger LANGUAGE plpgsql
  SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO public.outbox (type, key, payload, created_at)
  VALUES ('mint.knowledge-' || NEW.status || '.v1', left(NEW.wallet_id, 200),
    jsonb_build_object('recordId', NEW.id, 'walletId', NEW.wallet_id, 'activity', NEW.activity, 'courseId', NEW.course_id,
      'seq', NEW.decided_seq::text)
      || CASE NEW.status
        WHEN 'rewarded' THEN jsonb_build_object('transactionId', NEW.transaction_id, 'reward', NEW.reward::text)
        ELSE jsonb_build_object('rejection', NEW.rejection)
      END,
    NEW.decided_at);
  RETURN NULL;
END
$$;

CREATE TRIGGER zz_mining_records_publish_born AFTER INSERT ON mining_records FOR EACH ROW WHEN (NEW.status <> 'pending')
  EXECUTE FUNCTION publish_knowledge();
CREATE TRIGGER zz_mining_records_publish_decided AFTER UPDATE OF status ON mining_records FOR EACH ROW
  WHEN (OLD.status = 'pending' AND NEW.status <> 'pending') EXECUTE FUNCTION publish_knowledge();

-- From here on each transaction has its event. `reconcile` looks for none of those before.
UPDATE outbox_relay SET created_at = database_time();
