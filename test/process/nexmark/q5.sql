-- Hot items: the auctions with most bids in each hopping window of 10 seconds every 2. Stacked over panes of 2 seconds.
CREATE MATERIALIZED VIEW nexmark.q5_panes PARTITION BY time_bucket(INTERVAL '2 seconds', _time) AS
SELECT time_bucket(INTERVAL '2 seconds', _time) AS pane, auction, count(*) AS bids FROM raw.bid GROUP BY pane, auction;
CREATE MATERIALIZED VIEW nexmark.q5 PARTITION BY unnest(generate_series(pane - INTERVAL '8 seconds', pane, INTERVAL '2 seconds')) AS
WITH hopped AS (
  SELECT unnest(generate_series(pane - INTERVAL '8 seconds', pane, INTERVAL '2 seconds')) AS began, auction, bids FROM nexmark.q5_panes
), counted AS (
  SELECT began, auction, sum(bids) AS bids FROM hopped GROUP BY began, auction
)
SELECT began, auction, bids FROM counted QUALIFY bids = max(bids) OVER (PARTITION BY began);
-- BATCH
WITH windows AS (
  SELECT DISTINCT to_timestamp(2 * (epoch(ts)::BIGINT // 2 - k)) AS began FROM (SELECT date_trunc('second', ts) AS ts FROM raw.bid), range(5) AS r(k)
), counted AS (
  SELECT began, auction, count(*) AS bids FROM windows JOIN raw.bid ON ts >= began AND ts < began + INTERVAL '10 seconds' GROUP BY began, auction
)
SELECT began, auction, bids FROM counted WHERE bids = (SELECT max(bids) FROM counted AS other WHERE other.began = counted.began)
