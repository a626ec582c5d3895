import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { modelFunctions } from '../../src/analyze/models/functions.ts';
import { type Row, refused } from './fixture.ts';
import { openViewHouse, type ViewHouse } from './views-fixture.ts';

/** Half of the rows have a NULL among what the model reads; `shop` is what the views are kept by. */
const VISITS = (
  from: number,
  to: number,
) => `SELECT i AS id, 'shop ' || (i % 5) AS shop, CASE WHEN i % 13 = 0 THEN NULL ELSE (i * 7919) % 100 END AS pages,
    CASE WHEN i % 11 = 0 THEN NULL ELSE ['mail', 'search', 'ad', 'direct'][1 + i % 4] END AS source,
    TIMESTAMP '2026-01-01' + to_hours(((i * 31) % 700)::INTEGER) AS seen, i % 3 = 0 AS member
  FROM range(${from}, ${to}) t(i)`;

const TRAIN = (
  rounds: number,
) => `CREATE OR REPLACE MODEL buyers OPTIONS(model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = ${rounds}, ignore_cols = ['id', 'shop'],
    input_label_cols = ['bought']) AS SELECT *, CASE WHEN pages + (CASE WHEN source = 'mail' THEN 40 ELSE 0 END) + (id * 104729) % 30 > 90 THEN 'yes' ELSE 'no' END AS bought FROM (${VISITS(0, 2000)})`;

/** The queries of the views, which are asked at once too: as a table, with a query and a threshold, in a CTE behind another, and grouped. */
const QUERIES = {
  plain: 'SELECT shop, id, predicted_bought, predicted_bought_probs FROM ML.PREDICT(MODEL buyers, TABLE main.visits)',
  strict: `SELECT p.shop, p.id, p.predicted_bought AS buys FROM ML.PREDICT(MODEL buyers@2,
      (SELECT shop, id, pages, source, seen, member -- a comment
       FROM main.visits WHERE pages > 20), STRUCT(0.7 AS threshold)) AS p WHERE p.predicted_bought = 'yes'`,
  joined: `WITH known AS (SELECT * FROM main.visits WHERE source IS NOT NULL), scored AS (SELECT * FROM ML.PREDICT(MODEL main.buyers@champion, TABLE known))
    SELECT shop, predicted_bought AS buys, count(*) AS n, round(sum(predicted_bought_probs[2].prob), 9) AS expected FROM scored GROUP BY ALL`,
  why: `SELECT shop, id, predicted_bought, probability, top_feature_attributions, baseline_prediction_value, prediction_value
    FROM ML.EXPLAIN_PREDICT(MODEL buyers, TABLE main.visits, STRUCT(2 AS top_k_features, 0.4 AS threshold))`,
} as const;

describe('a view that calls a model', () => {
  let house: ViewHouse;
  before(async () => {
    house = await openViewHouse();
    await house.transfer('main.visits', (batch) => [
      `CREATE TABLE main.visits AS SELECT *, ${batch}::BIGINT AS _batch FROM (${VISITS(2000, 2600)})`,
      `CREATE TABLE change."main.visits" AS FROM main.visits LIMIT 0`,
    ]);
    await house.ask(TRAIN(5));
    await house.ask(TRAIN(10));
    for (const [name, query] of Object.entries(QUERIES))
      await house.ask(`CREATE MATERIALIZED VIEW mart.${name} PARTITION BY shop OPTIONS (refresh = '100 milliseconds') AS ${query}`);
  });
  after(() => house.close());

  const ordered = (rows: readonly Row[]) => rows.map(({ _batch, ...row }) => JSON.stringify(row)).sort();
  async function equalToTheirQueries(): Promise<void> {
    await house.settle();
    for (const [name, query] of Object.entries(QUERIES)) {
      const kept = ordered(await house.ask(`SELECT * FROM mart.${name}`));
      assert.ok(kept.length > 0, name);
      assert.deepEqual(kept, ordered(await house.ask(query)), name);
    }
  }
  const state = (name: string) => house.keeper.states().find((view) => view.name === `mart.${name}`)!;
  const replace = (where: string, select: string | null) =>
    house.transfer('main.visits', (batch) => [
      `CREATE OR REPLACE TEMP TABLE old AS SELECT * FROM main.visits WHERE ${where}`,
      `DELETE FROM main.visits WHERE ${where}`,
      `INSERT INTO change."main.visits" SELECT * EXCLUDE (_batch), ${batch} FROM old`,
      ...(select === null ? [] : [`INSERT INTO main.visits SELECT ${select}, ${batch} FROM old`]),
    ]);

  test('is kept by partition, says which version scores, and equals its query after rows came, changed and went', async () => {
    for (const name of Object.keys(QUERIES)) assert.equal(state(name).mode, 'partitions', `${name}: ${state(name).reasons.join('; ')}`);
    assert.deepEqual(state('strict').models, [{ model: 'main.buyers', spelled: 'main.buyers@2', version: 2 }]);
    await equalToTheirQueries();
    await house.transfer('main.visits', (batch) => [`INSERT INTO main.visits SELECT *, ${batch} FROM (${VISITS(3000, 3100)})`]);
    await equalToTheirQueries();
    await replace("shop = 'shop 1' AND id % 2 = 0", "id, shop, pages, 'mail', seen, member");
    await replace("shop = 'shop 2' AND id % 3 = 0", "id, 'shop 9', pages, source, seen, member");
    await replace("shop = 'shop 3'", null);
    await equalToTheirQueries();
    assert.equal(state('plain').last!.mode, 'partitions');
    assert.deepEqual(house.problems, []);
  });

  test('scores only the rows of the partitions that were touched', async () => {
    await replace("shop = 'shop 4' AND id < 2100", 'id, shop, pages + 1, source, seen, member');
    await house.settle();
    const [size] = await house.ask("SELECT count(*) AS n FROM main.visits WHERE shop = 'shop 4'");
    assert.deepEqual(state('plain').last, { mode: 'partitions', partitions: 1, rows: Number(size!['n']) });
    assert.deepEqual(await house.keeper.audit('mart.plain').then((audited) => audited?.differences), 0);
  });

  test('is computed anew when the alias that it names comes to name another version, also while Millrace is down; a number stays', async () => {
    const before = ordered(await house.ask('SELECT * FROM mart.plain'));
    await house.ask(TRAIN(40));
    await equalToTheirQueries();
    assert.notDeepEqual(ordered(await house.ask('SELECT * FROM mart.plain')), before, 'another version scores differently');
    assert.deepEqual(
      ['plain', 'strict', 'joined'].map((name) => state(name).models[0]!.version),
      [3, 2, 3],
    );
    assert.equal(state('strict').refreshes > 0 && state('strict').last!.mode !== 'whole', true, 'nothing to do for it');
    await house.models.rollBack('buyers', 'me');
    await equalToTheirQueries();
    assert.equal(state('plain').models[0]!.version, 2);
    const explained = await house.ask('EXPLAIN MATERIALIZED VIEW mart.plain');
    assert.match(explained.find(({ aspect }) => aspect === 'model')!['detail'], /main\.buyers scores with version 2/);
    const shown = await house.ask('SHOW MATERIALIZED VIEWS');
    assert.equal(shown.find(({ view }) => view === 'mart.joined')!['models'], 'main.buyers@champion: version 2');

    const refreshes = () => Object.keys(QUERIES).map((name) => state(name).last?.mode ?? null);
    await house.reopen();
    await equalToTheirQueries();
    assert.ok(!refreshes().includes('whole'), 'the same versions: nothing is computed anew');
    // As if the program had ended between the naming and what follows it.
    await house.store.write(async (tx) => {
      await tx.run(
        `INSERT INTO millrace.model_alias SELECT 'main.buyers', 'champion', 3, now(), 'me', max(step) + 1, false FROM millrace.model_alias`,
      );
    });
    await house.reopen();
    await equalToTheirQueries();
    assert.deepEqual(
      refreshes().map((mode) => mode === 'whole'),
      [true, false, true, true],
    );
    assert.equal(state('plain').models[0]!.version, 3);
  });

  test('holds its model back from DROP; with CASCADE it stays, paused with the reason, and its last rows are readable', async () => {
    await house.ask('CREATE VIEW main.shown AS SELECT shop FROM mart.plain');
    assert.deepEqual(
      (await house.blast.ofModel('main.buyers')).map(({ name, goes }) => [name, goes]),
      [...Object.keys(QUERIES).map((name) => [`mart.${name}`, false]), ['main.shown', false]],
    );
    await assert.rejects(house.ask('DROP MODEL buyers'), refused('VIEW_READ'));
    await assert.rejects(house.ask('ALTER MODEL buyers RENAME TO sellers'), refused('VIEW_READ'));
    // Views look at their model again after each change, the second of two in a row too.
    await house.ask("ALTER MODEL buyers SET OPTIONS(description = 'who buys')");
    const before = ordered(await house.ask('SELECT * FROM mart.plain'));
    await house.ask('DROP MODEL buyers CASCADE');
    await house.settle();
    assert.deepEqual([state('plain').state, state('plain').error?.code], ['paused', 'MODEL_UNKNOWN']);
    assert.deepEqual(ordered(await house.ask('SELECT * FROM mart.plain')), before);
    // Another model of the same name and number is another model.
    for (const rounds of [3, 4, 6]) await house.ask(TRAIN(rounds));
    for (const name of Object.keys(QUERIES)) await house.ask(`RESUME MATERIALIZED VIEW mart.${name}`);
    await equalToTheirQueries();
    assert.notDeepEqual(ordered(await house.ask('SELECT * FROM mart.plain')), before);
  });

  test('is paused when a version asks for a column that the query lacks, and when a value is none that the model reads', async () => {
    await house.ask(`CREATE MATERIALIZED VIEW mart.few PARTITION BY shop AS
      SELECT * FROM ML.PREDICT(MODEL buyers, (SELECT id, shop, pages, source, seen, member FROM main.visits))`);
    const before = ordered(await house.ask('SELECT * FROM mart.few'));
    await house.ask(
      `CREATE OR REPLACE MODEL buyers OPTIONS(model_type = 'LINEAR_REG', input_label_cols = ['pages']) AS SELECT pages, id AS other FROM (${VISITS(0, 500)}) WHERE pages IS NOT NULL`,
    );
    await house.settle();
    assert.deepEqual([state('few').state, state('few').error?.code], ['paused', 'MODEL_INPUT']);
    assert.match(state('few').error!.message, /other/);
    assert.deepEqual(ordered(await house.ask('SELECT * FROM mart.few')), before);
    const words =
      'CREATE MATERIALIZED VIEW mart.words PARTITION BY shop AS SELECT * FROM ML.PREDICT(MODEL buyers, (SELECT shop, source AS other FROM main.visits))';
    await assert.rejects(house.ask(words), (thrown: Error) => refused('VIEW_VALUE')(thrown) && /the text "/.test(thrown.message));
  });

  test('is refused with a code where it can’t be kept so', async () => {
    const create = (query: string) => house.ask(`CREATE MATERIALIZED VIEW mart.no PARTITION BY shop AS ${query}`);
    await assert.rejects(create('SELECT * FROM ML.PREDICT(MODEL nobody, TABLE main.visits)'), refused('MODEL_UNKNOWN'));
    await assert.rejects(create('SELECT *\nFROM ML.EVALUATE(MODEL buyers)'), refused('MODEL_CALL', { line: 2, column: 6 }));
    for (const { name, outOfViews } of modelFunctions) {
      if (outOfViews === undefined) continue;
      const refusal = refused('MODEL_CALL', { call: `ML.${name}`, problem: `can't stand in a view or a scheduled query: ${outOfViews}` });
      await assert.rejects(create(`SELECT * FROM ML.${name}(MODEL buyers, TABLE main.visits)`), refusal, name);
    }
    await assert.rejects(
      create('SELECT * FROM ML.EXPLAIN_PREDICT(MODEL buyers, (SELECT shop, id AS other FROM main.visits), STRUCT(0 AS top_k_features))'),
      refused('MODEL_FUNCTION'),
    );
    await assert.rejects(create('SELECT * FROM ML.PREDICT(MODEL buyers, TABLE main.visits, STRUCT(1 AS k))'), refused('MODEL_CALL'));
    await assert.rejects(create('SELECT * FROM ML.PREDICT(MODEL buyers, TABLE millrace.quarantine)'), refused('SQL_TABLE'));
    await assert.rejects(
      create("SELECT * FROM ML.PREDICT(MODEL buyers, (SELECT * FROM read_csv('/etc/passwd')))"),
      refused('SQL_FUNCTION'),
    );
    const places: readonly [code: string, query: string][] = [
      ['VIEW_QUERY', 'SELECT * FROM ML.PREDICT(MODEL buyers, (SELECT ^nothing FROM main.visits))'],
      ['VIEW_QUERY', 'SELECT shop, ^nothing FROM ML.PREDICT(MODEL buyers, (SELECT shop, id AS other FROM main.visits))'],
      [
        'VIEW_QUERY',
        'SELECT shop FROM ML.PREDICT(MODEL buyers, (SELECT shop, id AS other FROM main.visits)) WHERE predicted_pages > ^nothing',
      ],
      ['VIEW_NOT_DETERMINISTIC', 'SELECT * FROM ML.PREDICT(MODEL buyers, (SELECT shop, id AS other, ^now() AS t FROM main.visits))'],
      ['VIEW_NOT_DETERMINISTIC', 'SELECT *, ^random() AS r FROM ML.PREDICT(MODEL buyers, (SELECT shop, id AS other FROM main.visits))'],
    ];
    for (const [code, marked] of places) {
      const place = { line: 2, column: marked.indexOf('^') + 1 };
      await assert.rejects(create(`\n${marked.replace('^', '')}`), refused(code, place), marked);
    }
    await assert.rejects(
      house.ask('CREATE VIEW main.no AS SELECT * FROM ML.PREDICT(MODEL buyers, TABLE main.visits)'),
      refused('MODEL_CALL'),
    );
    const [own] = await house.store.rows(
      "SELECT function_name AS f FROM duckdb_functions() WHERE starts_with(function_name, 'ml_') LIMIT 1",
    );
    await assert.rejects(house.ask(`SELECT ${String(own!['f'])}(1)`), refused('SQL_FUNCTION'));
    const explained = await house.ask(
      'EXPLAIN CREATE MATERIALIZED VIEW mart.maybe PARTITION BY shop AS SELECT id, predicted_pages FROM ML.PREDICT(MODEL buyers, (SELECT id AS other, id FROM main.visits))',
    );
    assert.equal(explained[0]!['detail'], 'as a whole');
  });
});

test('a model whose TRANSFORM has SQL scores in a view too: by partition, or as a whole where that SQL looks at all rows', async (t) => {
  const house = await openViewHouse();
  t.after(() => house.close());
  await house.transfer('main.visits', (batch) => [
    `CREATE TABLE main.visits AS SELECT *, ${batch}::BIGINT AS _batch FROM (${VISITS(0, 1000)})`,
  ]);
  const train = (model: string, transform: string) =>
    house.ask(
      `CREATE MODEL ${model} TRANSFORM(${transform}, pages AS hits) OPTIONS(model_type = 'LINEAR_REG', input_label_cols = ['hits']) AS SELECT * FROM main.visits WHERE pages IS NOT NULL`,
    );
  await train('by_row', 'upper(source) AS source, id % 7 AS pages, member, ML.BUCKETIZE(id, [100]) AS part, hour(seen) AS seen');
  await train('by_all', 'id - avg(id) OVER () AS centred, member');
  await train('unnamed', 'id + 1, member');
  const query = (model: string) => `SELECT shop, id, pages, predicted_hits FROM ML.PREDICT(MODEL ${model}, TABLE main.visits)`;
  const create = (model: string) =>
    house.ask(`CREATE MATERIALIZED VIEW mart.${model} PARTITION BY shop OPTIONS (refresh = '100 milliseconds') AS ${query(model)}`);
  await assert.rejects(create('unnamed'), refused('MODEL_FUNCTION'));
  for (const model of ['by_row', 'by_all']) await create(model);
  await house.transfer('main.visits', (batch) => [`INSERT INTO main.visits SELECT *, ${batch} FROM (${VISITS(1000, 1100)})`]);
  await house.settle();
  const rows = async (sql: string) => (await house.ask(sql)).map((row) => JSON.stringify(row)).sort();
  for (const [model, mode] of [
    ['by_row', 'partitions'],
    ['by_all', 'whole'],
  ] as const) {
    assert.equal(house.keeper.states().find(({ name }) => name === `mart.${model}`)!.mode, mode);
    assert.deepEqual(await rows(`SELECT * EXCLUDE (_batch) FROM mart.${model}`), await rows(query(model)), model);
  }
});

test('a large view is scored anew in chunks, and clusters and numbers are scored like classes', async (t) => {
  const house = await openViewHouse(500);
  t.after(() => house.close());
  await house.transfer('main.visits', (batch) => [
    `CREATE TABLE main.visits AS SELECT *, ${batch}::BIGINT AS _batch FROM (${VISITS(0, 3000)})`,
  ]);
  const asGroups = (seed: number) =>
    `CREATE OR REPLACE MODEL groups OPTIONS(model_type = 'KMEANS', num_clusters = 3, seed = ${seed}, ignore_cols = ['id', 'shop']) AS SELECT * FROM (${VISITS(0, 600 * seed)})`;
  const asHours = (part: string) =>
    `CREATE OR REPLACE MODEL hours OPTIONS(model_type = 'LINEAR_REG', input_label_cols = ['hour']) AS SELECT hour(seen) * 1.0 AS hour, pages, source FROM (${VISITS(0, 900)}) WHERE ${part}`;
  await house.ask(asGroups(1));
  await house.ask(asHours('true'));
  const query = `SELECT g.shop, g.id, centroid_id, nearest_centroids_distance, predicted_hour FROM ML.PREDICT(MODEL groups, TABLE main.visits) AS g
    JOIN ML.PREDICT(MODEL hours, (SELECT shop, id, pages, source FROM main.visits)) AS h ON h.shop = g.shop AND h.id = g.id`;
  await house.ask(`CREATE MATERIALIZED VIEW mart.groups PARTITION BY shop OPTIONS (refresh = '100 milliseconds') AS ${query}`);
  const rows = async (sql: string) => (await house.ask(sql)).map((row) => JSON.stringify(row)).sort();
  const state = () => house.keeper.states().find(({ name }) => name === 'mart.groups')!;
  assert.equal(state().mode, 'partitions', state().reasons.join('; '));
  const kept = 'SELECT * EXCLUDE (_batch) FROM mart.groups';
  const first = await rows(query);
  assert.deepEqual(await rows(kept), first);
  const chunks = new Set<number>();
  const watching = setInterval(() => chunks.add(state()?.building?.of ?? 0), 1);
  t.after(() => clearInterval(watching));
  await house.ask(asGroups(2));
  await house.ask(asHours("source = 'mail'"));
  await house.settle();
  const last = await rows(query);
  assert.notDeepEqual(last, first);
  assert.ok(Math.max(...chunks) > 1, 'built beside');
  assert.deepEqual(await rows(kept), last);
  assert.deepEqual(
    state().models.map(({ spelled, version }) => `${spelled} ${version}`),
    ['main.groups 2', 'main.hours 2'],
  );
  assert.deepEqual(house.problems, []);
});

test('numbers, several classes and blends are explained in a view as in a question; what costs too much, and clusters, are refused', async (t) => {
  const house = await openViewHouse();
  t.after(() => house.close());
  await house.transfer('main.visits', (batch) => [
    `CREATE TABLE main.visits AS SELECT *, ${batch}::BIGINT AS _batch FROM (${VISITS(0, 300)})`,
  ]);
  const from = `FROM (${VISITS(0, 900)}) WHERE pages IS NOT NULL`;
  await house.ask(
    `CREATE MODEL hits OPTIONS(model_type = 'LINEAR_REG', input_label_cols = ['pages'], ignore_cols = ['id', 'shop']) AS SELECT * ${from}`,
  );
  await house.ask(`CREATE MODEL sources TRANSFORM(ML.BUCKETIZE(pages, [20, 60]) AS part, pages, member, upper(shop) AS place, source)
    OPTIONS(model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = 8, max_tree_depth = 3, input_label_cols = ['source']) AS SELECT * ${from} AND source IS NOT NULL`);
  await house.ask(`CREATE MODEL blend OPTIONS(model_type = 'AUTOML_CLASSIFIER', num_trials = 2, seed = 1, input_label_cols = ['member'])
    AS SELECT pages, source, member ${from} AND id < 300`);
  await house.ask(`CREATE MODEL kinds OPTIONS(model_type = 'KMEANS', num_clusters = 2) AS SELECT pages, member ${from}`);
  await house.ask(
    `CREATE MODEL deep OPTIONS(model_type = 'RANDOM_FOREST_REGRESSOR', input_label_cols = ['pages']) AS SELECT id, seen, source, pages ${from}`,
  );
  await house.ask(
    `CREATE MODEL many OPTIONS(model_type = 'RANDOM_FOREST_REGRESSOR', max_tree_depth = 5, input_label_cols = ['pages']) AS SELECT id, source, pages ${from}`,
  );
  const create = (model: string) =>
    house.ask(
      `CREATE MATERIALIZED VIEW mart.${model} PARTITION BY shop AS SELECT * EXCLUDE (_batch) FROM ML.EXPLAIN_PREDICT(MODEL ${model}, TABLE main.visits)`,
    );
  const inParts = async (model: string) =>
    /CASE hash\(.*\) % \d+ WHEN 0 THEN/.test(
      (await house.models.calls.spelled(`SELECT * FROM ML.EXPLAIN_PREDICT(MODEL ${model}, TABLE main.visits)`)).query,
    );
  for (const model of ['hits', 'sources', 'blend', 'many']) {
    assert.equal(await inParts(model), model === 'many', model);
    await create(model);
    const rows = async (sql: string) => (await house.ask(sql)).map((row) => JSON.stringify(row)).sort();
    const asked = await rows(`SELECT * EXCLUDE (_batch) FROM ML.EXPLAIN_PREDICT(MODEL ${model}, TABLE main.visits)`);
    assert.equal(asked.length, 300);
    assert.deepEqual(await rows(`SELECT * EXCLUDE (_batch) FROM mart.${model}`), asked, model);
  }
  await assert.rejects(create('kinds'), refused('MODEL_FUNCTION'));
  await assert.rejects(create('deep'), (thrown) => refused('MODEL_FUNCTION')(thrown) && /too many or too deep trees/.test(String(thrown)));
});

describe('a scheduled query that calls a model', () => {
  let house: ViewHouse;
  before(async () => {
    house = await openViewHouse();
    await house.ask(`CREATE TABLE main.visits AS ${VISITS(2000, 2600)}`);
    await house.ask(TRAIN(5));
  });
  after(() => house.close());

  const SCORED = `SELECT v.id, v.predicted_bought AS buys FROM ML.PREDICT(MODEL buyers, (SELECT * FROM main.visits WHERE source IS NOT NULL)) AS v`;
  const define = (query: string) => `CREATE OR REPLACE SCHEDULED QUERY mart.nightly OPTIONS (cron = '0 6 * * *') AS ${query}`;
  const isWhatIsAsked = async () => {
    await house.ask('RUN SCHEDULED QUERY mart.nightly');
    const [kept, asked] = [await house.ask('SELECT id, buys FROM mart.nightly ORDER BY id'), await house.ask(`${SCORED} ORDER BY id`)];
    assert.equal(kept.length, 545);
    assert.deepEqual(kept, asked);
    return kept;
  };

  test('writes what its version answers at each run, with the time that is due, also after a start', async () => {
    await house.ask(define(`${SCORED} WHERE $run_time > '2020-01-01'::TIMESTAMPTZ`));
    const first = await isWhatIsAsked();
    await house.ask(TRAIN(40));
    const second = await isWhatIsAsked();
    assert.notDeepEqual(first, second, 'another version answers otherwise');
    await house.reopen();
    assert.deepEqual(house.problems, []);
    assert.deepEqual(await isWhatIsAsked(), second);
  });

  test('holds up the drop of its model; without the model its next run says so', async () => {
    await house.ask(
      `CREATE MODEL spare OPTIONS(model_type = 'LINEAR_REG', input_label_cols = ['pages']) AS SELECT pages, source FROM main.visits`,
    );
    await house.ask(
      `CREATE SCHEDULED QUERY mart.spared OPTIONS (cron = '0 6 * * *') AS SELECT id, predicted_pages FROM ML.PREDICT(MODEL main.spare, TABLE main.visits)`,
    );
    await assert.rejects(
      house.ask('DROP MODEL spare'),
      refused('VIEW_READ', { table: 'main.spare', readers: 'the scheduled query mart.spared' }),
    );
    await house.ask('DROP MODEL spare CASCADE');
    await assert.rejects(house.ask('RUN SCHEDULED QUERY mart.spared'), refused('MODEL_UNKNOWN'));
  });

  test('is refused with its place where its call or what is around it can not be run', async () => {
    for (const [query, code, line, column] of [
      ['SELECT *\nFROM ML.PREDICT(MODEL buyers, (SELECT nothing FROM main.visits))', 'SCHEDULE_QUERY', 2, 39],
      ['SELECT nothing FROM\nML.PREDICT(MODEL buyers, TABLE main.visits)', 'SCHEDULE_QUERY', 1, 87],
      ['SELECT * FROM ML.PREDICT(MODEL strangers, TABLE main.visits)', 'MODEL_UNKNOWN', undefined, undefined],
      ['SELECT * FROM ML.EVALUATE(MODEL buyers)', 'MODEL_CALL', 1, 94],
    ] as const)
      await assert.rejects(house.ask(define(query)), (thrown: Error & { code?: string; params?: Record<string, unknown> }) => {
        assert.deepEqual([thrown.code, thrown.params!['line'], thrown.params!['column']], [code, line, column], thrown.message);
        return true;
      });
  });
});
