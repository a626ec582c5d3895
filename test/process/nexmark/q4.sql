-- Average price for a category: stacked, first the price of each auction, then the average.
CREATE MATERIALIZED VIEW nexmark.q4_final PARTITION BY id AS
SELECT a.id, a.category, max(b.price) AS final
FROM raw.auction AS a, raw.bid AS b WHERE a.id = b.auction AND b._time BETWEEN a._time AND a.expires
GROUP BY a.id, a.category;
CREATE MATERIALIZED VIEW nexmark.q4 PARTITION BY category AS
SELECT category, avg(final) AS average FROM nexmark.q4_final GROUP BY category;
-- BATCH
SELECT category, avg(final) FROM (
  SELECT a.category, (SELECT max(b.price) FROM raw.bid AS b WHERE b.auction = a.id AND b.ts >= a.ts AND b.ts <= a.expires) AS final FROM raw.auction AS a
) WHERE final IS NOT NULL GROUP BY category
