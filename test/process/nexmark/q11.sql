-- User sessions: the bids of each bidder with no pause longer than 10 seconds.
CREATE MATERIALIZED VIEW nexmark.q11 PARTITION BY bidder AS
WITH paused AS (
  SELECT bidder, _time, _position, lag(_time) OVER (PARTITION BY bidder ORDER BY _time, _position) AS previous FROM raw.bid
), numbered AS (
  SELECT *, count(*) FILTER (WHERE previous IS NULL OR _time - previous > INTERVAL '10 seconds') OVER (PARTITION BY bidder ORDER BY _time, _position) AS n FROM paused
)
SELECT bidder, min(_time) AS began, max(_time) AS ended, count(*) AS bids FROM numbered GROUP BY bidder, n;
-- BATCH
WITH starts AS (
  SELECT DISTINCT bidder, ts AS began FROM raw.bid AS b
  WHERE NOT EXISTS (SELECT 1 FROM raw.bid AS e WHERE e.bidder = b.bidder AND e.ts < b.ts AND e.ts >= b.ts - INTERVAL '10 seconds')
)
SELECT s.bidder, s.began, max(b.ts), count(*) FROM starts AS s JOIN raw.bid AS b ON b.bidder = s.bidder AND b.ts >= s.began
  AND b.ts < coalesce((SELECT min(n.began) FROM starts AS n WHERE n.bidder = s.bidder AND n.began > s.began), 'infinity')
GROUP BY s.bidder, s.began
