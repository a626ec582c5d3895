-- https://cloud.google.com/bigquery/docs/linear-regression-tutorial, with single quotes for texts and EXCLUDE for EXCEPT.
-- Penguins-like birds: what each weighs is planted (-- holds compares with it), with noise of ±60 g.
CREATE TABLE penguins AS
  SELECT species, island, sex, culmen_length_mm, culmen_depth_mm, flipper_length_mm,
    CASE WHEN n % 40 = 0 THEN NULL
      ELSE 3000 + CASE species WHEN 'Gentoo' THEN 900 WHEN 'Chinstrap' THEN -150 ELSE 0 END + CASE sex WHEN 'MALE' THEN 500 ELSE 0 END
        + 20 * (flipper_length_mm - 200) + (n * 7919) % 121 - 60 END AS body_mass_g
  FROM (SELECT n, ['Adelie', 'Gentoo', 'Chinstrap'][1 + n % 3] AS species, ['Biscoe', 'Dream', 'Torgersen'][1 + (n // 3) % 3] AS island,
    CASE WHEN n % 31 = 0 THEN NULL WHEN n % 2 = 0 THEN 'MALE' ELSE 'FEMALE' END AS sex, 35 + (n * 104729) % 20 AS culmen_length_mm,
    14 + ((n * 613) % 70) / 10.0 AS culmen_depth_mm, 180 + (n * 389) % 45 AS flipper_length_mm FROM range(1200) t(n));

CREATE OR REPLACE MODEL penguins_model OPTIONS (model_type = 'linear_reg', input_label_cols = ['body_mass_g']) AS
  SELECT * FROM penguins WHERE body_mass_g IS NOT NULL;

-- holds
SELECT count(*) = 6 AS inputs, bool_and(input <> 'body_mass_g') AS label_apart FROM ML.FEATURE_INFO(MODEL penguins_model);

-- holds
SELECT r2_score > 0.95 AS r2, mean_absolute_error BETWEEN 25 AND 60 AS error, abs(explained_variance - r2_score) < 0.01 AS unbiased
FROM ML.EVALUATE(MODEL penguins_model, (SELECT * FROM penguins WHERE body_mass_g IS NOT NULL));

-- holds
SELECT count(*) = (SELECT count(*) FROM penguins WHERE island = 'Biscoe') AS every_row, count(predicted_body_mass_g) = count(*) AS every_prediction
FROM ML.PREDICT(MODEL penguins_model, (SELECT * FROM penguins WHERE island = 'Biscoe'));

-- A millimetre of flipper is worth what was planted, and a standard deviation of it as many times more.
-- holds
SELECT abs((SELECT weight FROM ML.WEIGHTS(MODEL penguins_model) WHERE processed_input = 'flipper_length_mm') - 20) < 1 AS slope,
  abs((SELECT weight FROM ML.WEIGHTS(MODEL penguins_model, STRUCT(true AS standardize)) WHERE processed_input = 'flipper_length_mm')
    / (SELECT stddev_pop(flipper_length_mm) FROM penguins WHERE body_mass_g IS NOT NULL) - 20) < 1 AS standardized,
  abs((SELECT list_max([c.weight FOR c IN category_weights]) - list_min([c.weight FOR c IN category_weights])
    FROM ML.WEIGHTS(MODEL penguins_model) WHERE processed_input = 'species') - 1050) < 40 AS species;

-- holds
SELECT bool_and(abs(baseline_prediction_value + list_sum([a.attribution FOR a IN top_feature_attributions]) - prediction_value) < 1e-6) AS adds_up,
  bool_and(abs(prediction_value - predicted_body_mass_g) < 1e-6) AS is_the_prediction,
  bool_and(len(top_feature_attributions) = 6) AS all_features
FROM ML.EXPLAIN_PREDICT(MODEL penguins_model, (SELECT * FROM penguins WHERE body_mass_g IS NOT NULL AND island = 'Biscoe'), STRUCT(6 AS top_k_features));

-- holds
SELECT max(len(top_feature_attributions)) = 3 AS three
FROM ML.EXPLAIN_PREDICT(MODEL penguins_model, (SELECT * FROM penguins WHERE island = 'Biscoe'), STRUCT(3 AS top_k_features));

-- What was not planted moves nothing.
-- holds
SELECT (list(feature ORDER BY attribution DESC))[1:3] @> ['species', 'sex', 'flipper_length_mm'] AS planted FROM ML.GLOBAL_EXPLAIN(MODEL penguins_model);
