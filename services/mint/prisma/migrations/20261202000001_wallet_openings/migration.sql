-- Every wallet has a row that outlives it, so that `reconcile` names a wallet that someone deleted. Before, a wallet without
-- transactions, such as one that was opened and closed again, left no trace: its closing was only in its own chain.
-- Locks: SHARE ROW EXCLUSIVE on wallets, for the foreign key and the trigger, while one row for each wallet is written.

SET LOCAL lock_timeout = '5s';

CREATE TABLE "wallet_openings" (
    "wallet_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "wallet_openings_pkey" PRIMARY KEY ("wallet_id"),
    CONSTRAINT "wallet_openings_created_at_check"
      CHECK ("created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800)),
    CONSTRAINT "wallet_openings_wallet_id_fkey" FOREIGN KEY ("wallet_id") REFERENCES "wallets" ("id")
      ON DELETE RESTRICT ON UPDATE RESTRICT
);

CREATE FUNCTION record_opening() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO public.wallet_openings (wallet_id, created_at) VALUES (NEW.id, NEW.created_at);
  RETURN NULL;
END
$$;

CREATE TRIGGER wallets_record_opening AFTER INSERT ON wallets FOR EACH ROW EXECUTE FUNCTION record_opening();
CREATE TRIGGER wallet_openings_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON wallet_openings
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

INSERT INTO wallet_openings (wallet_id, created_at) SELECT id, created_at FROM wallets;
