-- Pass through: every bid as it is.
CREATE MATERIALIZED VIEW nexmark.q0 PARTITION BY date_trunc('second', _time) AS
SELECT date_trunc('second', _time) AS second, auction, bidder, price, _time AS time FROM raw.bid;
-- BATCH
SELECT date_trunc('second', ts), auction, bidder, price, ts FROM raw.bid
