-- Selection: bids on some auctions.
CREATE MATERIALIZED VIEW nexmark.q2 PARTITION BY date_trunc('second', _time) AS
SELECT date_trunc('second', _time) AS second, auction, price FROM raw.bid WHERE auction % 7 = 0;
-- BATCH
SELECT date_trunc('second', ts), auction, price FROM raw.bid WHERE auction - 7 * (auction // 7) = 0
