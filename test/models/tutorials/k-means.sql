-- https://cloud.google.com/bigquery/docs/kmeans-tutorial, with single quotes for texts and EXCLUDE for EXCEPT.
-- Hires of bicycles at stations of four planted kinds: near the centre or far, short rides or long.
CREATE TABLE cycle_hire AS
  SELECT 'Station ' || station || CASE WHEN station % 9 = 0 THEN ', Kennington' ELSE '' END AS start_station_name,
    TIMESTAMP '2015-01-01' + to_hours((n * 31 % 2000)::INTEGER) AS start_date, (CASE WHEN kind >= 2 THEN 3000 ELSE 600 END) + (n * 7919) % 200 AS duration,
    (CASE WHEN kind % 2 = 1 THEN 9 ELSE 1 END) + (station % 7) / 10.0 AS distance_from_city_center, kind
  FROM (SELECT n, n % 80 AS station, (n % 80) % 4 AS kind FROM range(16000) t(n));

CREATE OR REPLACE MODEL london_station_clusters OPTIONS(model_type = 'kmeans', num_clusters = 4) AS
WITH hs AS (
    SELECT start_station_name AS station_name, CASE WHEN date_part('isodow', start_date) IN (6, 7) THEN 'weekend' ELSE 'weekday' END AS isweekday,
      duration, distance_from_city_center FROM cycle_hire),
  stationstats AS (
    SELECT station_name, isweekday, AVG(duration) AS duration, COUNT(duration) AS num_trips, MAX(distance_from_city_center) AS distance_from_city_center
    FROM hs GROUP BY station_name, isweekday)
SELECT * EXCLUDE (station_name, isweekday, num_trips) FROM stationstats;

CREATE VIEW stationstats AS
  SELECT start_station_name AS station_name, any_value(kind) AS kind, AVG(duration) AS duration, MAX(distance_from_city_center) AS distance_from_city_center
  FROM cycle_hire GROUP BY start_station_name;

-- The stations of each planted kind are together, and apart from the others.
-- holds
SELECT count(*) = 4 AS four_pairs, count(DISTINCT kind) = 4 AS each_kind, count(DISTINCT centroid_id) = 4 AS each_cluster
FROM (SELECT DISTINCT kind, centroid_id FROM ML.PREDICT(MODEL london_station_clusters, TABLE stationstats));

-- holds
SELECT count(*) > 0 AS some, bool_and(centroid_id BETWEEN 1 AND 4) AS a_cluster
FROM (SELECT * EXCLUDE (nearest_centroids_distance) FROM ML.PREDICT(MODEL london_station_clusters, (
  SELECT * FROM stationstats WHERE regexp_matches(station_name, 'Kennington'))));

-- holds
SELECT davies_bouldin_index < 0.3 AS apart, mean_squared_distance < 0.1 AS dense FROM ML.EVALUATE(MODEL london_station_clusters);

-- holds
SELECT count(*) = 8 AS rows, count(*) FILTER (feature = 'duration' AND numerical_value > 2900) = 2 AS long,
  count(*) FILTER (feature = 'distance_from_city_center' AND numerical_value > 8) = 2 AS far FROM ML.CENTROIDS(MODEL london_station_clusters);
