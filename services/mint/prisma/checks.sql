-- `azora-db backup verify` runs these statements on a restored database. Each row is a problem. `reconcile` checks more.

WITH entries AS (
  SELECT wallet_id, sum(change) AS balance
  FROM (SELECT from_id AS wallet_id, -amount AS change FROM transactions UNION ALL SELECT to_id, amount FROM transactions) AS sides
  GROUP BY wallet_id
)
SELECT format('wallet %s has a balance of %s, but its transactions add up to %s', id, wallets.balance, coalesce(entries.balance, 0)) AS problem
FROM wallets LEFT JOIN entries ON entries.wallet_id = wallets.id
WHERE wallets.balance <> coalesce(entries.balance, 0);

SELECT format('the balances in %s add up to %s instead of zero', currency, sum(balance)) AS problem
FROM wallets GROUP BY currency HAVING sum(balance) <> 0;

SELECT format('wallet %s has %s held, but its open holds add up to %s', wallets.id, held, coalesce(sum(holds.amount), 0)) AS problem
FROM wallets LEFT JOIN holds ON holds.wallet_id = wallets.id AND holds.status = 'held'
GROUP BY wallets.id HAVING held <> coalesce(sum(holds.amount), 0);
