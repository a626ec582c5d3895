-- The middle and the 95th of a hundred of each page in each hour: kept by both.
CREATE MATERIALIZED VIEW windows.percentiles PARTITION BY (date_trunc('hour', _time), page) AS
SELECT date_trunc('hour', _time) AS hour, page, quantile_disc(amount, 0.5) AS middle, quantile_disc(amount, 0.95) AS high, count(*) AS visits
FROM raw.visits GROUP BY hour, page;
-- BATCH
WITH placed AS (
  SELECT date_trunc('hour', ts) AS hour, page, amount, row_number() OVER w AS place, count(*) OVER (PARTITION BY date_trunc('hour', ts), page) AS n
  FROM raw.visits WINDOW w AS (PARTITION BY date_trunc('hour', ts), page ORDER BY amount)
)
SELECT hour, page, min(amount) FILTER (WHERE place >= 0.5 * n), min(amount) FILTER (WHERE place >= 0.95 * n), any_value(n)
FROM placed GROUP BY hour, page
