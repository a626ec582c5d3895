-- The first and the last page of each visitor; the id decides where two came at one moment.
CREATE MATERIALIZED VIEW windows.first_last PARTITION BY usr AS
SELECT usr, arg_min(page, (_time, _id)) AS first_page, arg_max(page, (_time, _id)) AS last_page, min(_time) AS first_seen, max(_time) AS last_seen
FROM raw.visits GROUP BY usr;
-- BATCH
WITH placed AS (
  SELECT usr, page, ts, row_number() OVER (PARTITION BY usr ORDER BY ts, _id) AS up, row_number() OVER (PARTITION BY usr ORDER BY ts DESC, _id DESC) AS down
  FROM raw.visits
)
SELECT f.usr, f.page, l.page, f.ts, l.ts FROM placed AS f JOIN placed AS l ON l.usr IS NOT DISTINCT FROM f.usr WHERE f.up = 1 AND l.down = 1
