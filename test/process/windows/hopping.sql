-- Visits of each page in windows of 10 minutes, a new one every 5: a row belongs to two.
CREATE MATERIALIZED VIEW windows.hopping PARTITION BY unnest([time_bucket(INTERVAL '5 minutes', _time), time_bucket(INTERVAL '5 minutes', _time) - INTERVAL '5 minutes']) AS
SELECT began, page, count(*) AS visits, sum(amount) AS amount
FROM (SELECT unnest([time_bucket(INTERVAL '5 minutes', _time), time_bucket(INTERVAL '5 minutes', _time) - INTERVAL '5 minutes']) AS began, page, amount FROM raw.visits) AS v
GROUP BY began, page;
-- BATCH
SELECT w.began, v.page, count(*), sum(v.amount)
FROM (SELECT DISTINCT to_timestamp(300 * (epoch(date_trunc('second', ts))::BIGINT // 300 - k)) AS began FROM raw.visits, range(2) AS r(k)) AS w
JOIN raw.visits AS v ON v.ts >= w.began AND v.ts < w.began + INTERVAL 10 MINUTE
GROUP BY ALL
