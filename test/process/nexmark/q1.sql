-- Currency conversion: prices in euros.
CREATE MATERIALIZED VIEW nexmark.q1 PARTITION BY date_trunc('second', _time) AS
SELECT date_trunc('second', _time) AS second, auction, bidder, 0.908 * price AS price, _time AS time FROM raw.bid;
-- BATCH
SELECT date_trunc('second', ts), auction, bidder, CAST(0.908 AS DECIMAL(4,3)) * price, ts FROM raw.bid
