-- A visitor's sessions: a pause of more than 10 minutes ends one, and 30 minutes after its start the next visit begins another.
CREATE MATERIALIZED VIEW windows.session_gap_cap PARTITION BY usr AS
WITH ordered AS (
  SELECT usr, _time AS time, _time - lag(_time) OVER (PARTITION BY usr ORDER BY _time) > INTERVAL '10 minutes' AS pause FROM raw.visits
), stretches AS (
  SELECT *, count(*) FILTER (WHERE pause) OVER (PARTITION BY usr ORDER BY time) AS stretch FROM ordered
), capped AS (
  SELECT usr, stretch, list_reduce(list([epoch_us(time)] ORDER BY time),
    lambda starts, next: CASE WHEN next[1] - starts[-1] > 1_800_000_000 THEN list_concat(starts, next) ELSE starts END) AS starts
  FROM stretches GROUP BY usr, stretch
), started AS (
  SELECT s.usr, s.time, list_filter(c.starts, lambda start: start <= epoch_us(s.time))[-1] AS start
  FROM stretches AS s JOIN capped AS c ON c.usr IS NOT DISTINCT FROM s.usr AND c.usr = s.usr AND c.stretch = s.stretch
)
SELECT usr, make_timestamptz(start) AS began, max(time) AS ended, count(*) AS visits FROM started GROUP BY usr, start;
-- BATCH
WITH RECURSIVE numbered AS (
  SELECT usr, ts, row_number() OVER (PARTITION BY usr ORDER BY ts, _id) AS n FROM raw.visits WHERE usr IS NOT NULL
), walked AS (
  SELECT usr, n, ts, ts AS began FROM numbered WHERE n = 1
  UNION ALL
  SELECT x.usr, x.n, x.ts, CASE WHEN x.ts - w.ts > INTERVAL 10 MINUTE OR x.ts - w.began > INTERVAL 30 MINUTE THEN x.ts ELSE w.began END
  FROM walked AS w JOIN numbered AS x ON x.usr = w.usr AND x.n = w.n + 1
)
SELECT usr, began, max(ts), count(*) FROM walked GROUP BY usr, began
