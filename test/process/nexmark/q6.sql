-- Average selling price by seller: over the seller's last ten closed auctions.
CREATE MATERIALIZED VIEW nexmark.q6_winning PARTITION BY id AS
SELECT a.id, a.seller, a.expires, max(b.price) AS final
FROM raw.auction AS a JOIN raw.bid AS b ON b.auction = a.id WHERE b._time BETWEEN a._time AND a.expires
GROUP BY a.id, a.seller, a.expires;
CREATE MATERIALIZED VIEW nexmark.q6 PARTITION BY seller AS
SELECT seller, id, avg(final) OVER (PARTITION BY seller ORDER BY expires, id ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) AS average
FROM nexmark.q6_winning;
-- BATCH
WITH winning AS (
  SELECT a.id, a.seller, a.expires, max(b.price) AS final FROM raw.auction AS a JOIN raw.bid AS b ON b.auction = a.id AND b.ts BETWEEN a.ts AND a.expires GROUP BY ALL
), numbered AS (
  SELECT *, row_number() OVER (PARTITION BY seller ORDER BY expires, id) AS n FROM winning
)
SELECT one.seller, one.id, avg(other.final) FROM numbered AS one JOIN numbered AS other ON other.seller = one.seller AND other.n BETWEEN one.n - 9 AND one.n
GROUP BY one.seller, one.id
