-- Highest bid of each 10 seconds: the source is joined with itself within the window.
CREATE MATERIALIZED VIEW nexmark.q7 PARTITION BY time_bucket(INTERVAL '10 seconds', _time) AS
SELECT b.began, b.auction, b.bidder, b.price
FROM (SELECT time_bucket(INTERVAL '10 seconds', _time) AS began, auction, bidder, price FROM raw.bid) AS b
JOIN (SELECT time_bucket(INTERVAL '10 seconds', _time) AS began, max(price) AS price FROM raw.bid GROUP BY began) AS highest
  ON b.began = highest.began AND b.price = highest.price;
-- BATCH
SELECT time_bucket(INTERVAL '10 seconds', ts) AS began, auction, bidder, price FROM raw.bid
QUALIFY rank() OVER (PARTITION BY time_bucket(INTERVAL '10 seconds', ts) ORDER BY price DESC) = 1
