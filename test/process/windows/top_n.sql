-- The three pages of each hour that took most.
CREATE MATERIALIZED VIEW windows.top_n PARTITION BY date_trunc('hour', _time) AS
SELECT date_trunc('hour', _time) AS hour, page, sum(amount) AS sales FROM raw.visits GROUP BY hour, page
QUALIFY row_number() OVER (PARTITION BY hour ORDER BY sales DESC, page) <= 3;
-- BATCH
WITH sums AS (SELECT date_trunc('hour', ts) AS hour, page, sum(amount) AS amount FROM raw.visits GROUP BY ALL)
SELECT * FROM sums AS s
WHERE (SELECT count(*) FROM sums AS o WHERE o.hour = s.hour AND (o.amount > s.amount OR (o.amount = s.amount AND o.page < s.page))) < 3
