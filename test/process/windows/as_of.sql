-- Each visit at the price of its page when it happened; prices are changed, backdated and taken back later.
CREATE MATERIALIZED VIEW windows.as_of PARTITION BY date_trunc('hour', _time) AS
SELECT date_trunc('hour', v._time) AS hour, v._id AS id, p.price, v.amount * p.price AS worth
FROM raw.visits AS v ASOF LEFT JOIN main.prices AS p ON p.page = v.page AND v._time >= p.since;
-- BATCH
SELECT hour, _id, price, amount * price
FROM (SELECT date_trunc('hour', ts) AS hour, _id, amount,
  (SELECT arg_max(p.price, p.since) FROM main.prices AS p WHERE p.page = v.page AND p.since <= v.ts) AS price FROM raw.visits AS v) AS found
