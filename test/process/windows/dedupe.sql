-- Clicks that one visitor made twice on a page within a day count once: the first.
CREATE MATERIALIZED VIEW windows.dedupe PARTITION BY (date_trunc('day', _time), usr) AS
SELECT DISTINCT ON (day, usr, page) date_trunc('day', _time) AS day, usr, page, _time AS time, _id AS id, amount
FROM raw.visits ORDER BY day, usr, page, _time, _id;
-- BATCH
SELECT date_trunc('day', ts), usr, page, ts, _id, amount FROM raw.visits AS v
WHERE NOT EXISTS (SELECT 1 FROM raw.visits AS o WHERE o.usr IS NOT DISTINCT FROM v.usr AND o.page = v.page
  AND date_trunc('day', o.ts) = date_trunc('day', v.ts) AND (o.ts < v.ts OR (o.ts = v.ts AND o._id < v._id)))
