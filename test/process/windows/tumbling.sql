-- Each quarter of an hour by itself, with the distinct visitors.
CREATE MATERIALIZED VIEW windows.tumbling PARTITION BY time_bucket(INTERVAL '15 minutes', _time) AS
SELECT time_bucket(INTERVAL '15 minutes', _time) AS began, count(*) AS visits, count(DISTINCT usr) AS visitors FROM raw.visits GROUP BY began;
-- BATCH
SELECT to_timestamp(900 * floor(epoch(ts) / 900)) AS began, count(*), len(list_distinct(list(usr))) FROM raw.visits GROUP BY 1
