-- Monitor new users: who opened an auction in the 10 seconds in which they came.
CREATE MATERIALIZED VIEW nexmark.q8 PARTITION BY time_bucket(INTERVAL '10 seconds', _time) AS
SELECT p.id, p.name, p.began
FROM (SELECT id, name, time_bucket(INTERVAL '10 seconds', _time) AS began FROM raw.person) AS p
JOIN (SELECT DISTINCT seller, time_bucket(INTERVAL '10 seconds', _time) AS began FROM raw.auction) AS a ON p.id = a.seller AND p.began = a.began;
-- BATCH
SELECT id, name, time_bucket(INTERVAL '10 seconds', ts) FROM raw.person AS p
WHERE EXISTS (SELECT 1 FROM raw.auction AS a WHERE a.seller = p.id AND time_bucket(INTERVAL '10 seconds', a.ts) = time_bucket(INTERVAL '10 seconds', p.ts))
