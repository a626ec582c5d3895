-- Local item suggestion: who sells in some states, in one category. Both sides of the join are kept by the seller.
CREATE MATERIALIZED VIEW nexmark.q3 PARTITION BY seller AS
SELECT p.id AS seller, p.name, p.city, p.state, a.id AS auction
FROM raw.auction AS a JOIN raw.person AS p ON a.seller = p.id
WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA');
-- BATCH
SELECT p.id, p.name, p.city, p.state, a.id FROM raw.person AS p, raw.auction AS a
WHERE p.id = a.seller AND a.category = 10 AND (p.state = 'OR' OR p.state = 'ID' OR p.state = 'CA')
