-- `azora-db backup verify` runs these statements on a restored database. Each row is a problem.

WITH recounted AS (
  SELECT n.user_id, count(*) AS unread FROM notifications AS n LEFT JOIN recipients AS m ON m.user_id = n.user_id
  WHERE n.in_app AND NOT n.is_read AND n.deleted_at IS NULL AND n.position > coalesce(m.read_through, 0)
  GROUP BY n.user_id
)
SELECT format('the counter of user %s is %s, but %s notifications are unread', user_id, coalesce(r.unread, 0), coalesce(n.unread, 0)) AS problem
FROM recipients AS r FULL JOIN recounted AS n USING (user_id)
WHERE coalesce(r.unread, 0) <> coalesce(n.unread, 0);

SELECT format('the mark of user %s is above the next position', user_id) AS problem
FROM recipients WHERE read_through > (SELECT last_value FROM notifications_position_seq);
