import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type House, openHouse, type Row, refused } from './fixture.ts';
import { openViewHouse } from './views-fixture.ts';

/** Numbers with gaps, ties, a NaN and one far away; levels of different frequency. */
const ROWS = Array.from({ length: 97 }, (_, k) => ({
  id: k,
  x: k % 17 === 5 ? null : k === 40 ? Number.NaN : k === 41 ? 900 : ((k * 37) % 53) / 4 - 3,
  level: k % 11 === 3 ? null : ['a', 'b', 'b', 'c', 'c', 'c', 'd', 'e'][(k * 5) % 8]!,
}));

// What the functions should give, worked out here from their definitions.
const known = ROWS.map(({ x }) => x).filter((x): x is number => x !== null && Number.isFinite(x));
const sorted = [...known].sort((a, b) => a - b);
const mean = known.reduce((sum, x) => sum + x, 0) / known.length;
const deviation = Math.sqrt(known.reduce((sum, x) => sum + (x - mean) * (x - mean), 0) / known.length);
const [least, most] = [Math.min(...known), Math.max(...known)];
/** Hyndman and Fan's type 7. */
function quantile(share: number): number {
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)]!;
  const above = sorted[Math.ceil(place)]!;
  return below + (above - below) * (place % 1);
}
const counts = new Map<string, number>();
for (const { level } of ROWS) if (level !== null) counts.set(level, (counts.get(level) ?? 0) + 1);
const frequent = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([level]) => level);
const bin = (x: number | null, edges: readonly number[]) =>
  x === null || Number.isNaN(x) ? null : `bin_${edges.filter((edge) => edge <= x).length + 1}`;
const number = (x: number | null, of: (x: number) => number) => (x === null || Number.isNaN(x) ? null : of(x));

const CASES: Readonly<Record<string, (row: (typeof ROWS)[number]) => unknown>> = {
  'ML.BUCKETIZE(x, [0, 2.5, 7])': ({ x }) => bin(x, [0, 2.5, 7]),
  'ML.BUCKETIZE(x, [0, 2.5, 7], TRUE)': ({ x }) => bin(x, [2.5]),
  'ML.BUCKETIZE(x + 0, list_value(7, 2.5, 0))': ({ x }) => bin(x, [0, 2.5, 7]),
  'ML.QUANTILE_BUCKETIZE(x, 4) OVER ()': ({ x }) => bin(x, [0.25, 0.5, 0.75].map(quantile)),
  'ML.STANDARD_SCALER(x) OVER ()': ({ x }) => number(x, (v) => (v - mean) / deviation),
  'ML.MIN_MAX_SCALER(x) OVER ()': ({ x }) => number(x, (v) => (v - least) / (most - least)),
  'ML.MAX_ABS_SCALER(x) OVER()': ({ x }) => number(x, (v) => v / Math.max(Math.abs(least), Math.abs(most))),
  'ML.ROBUST_SCALER(x) OVER ()': ({ x }) => number(x, (v) => (v - quantile(0.5)) / (quantile(0.75) - quantile(0.25))),
  'ML.ROBUST_SCALER(x, [10, 90], FALSE, TRUE) OVER ()': ({ x }) => number(x, (v) => v / (quantile(0.9) - quantile(0.1))),
  'ML.ROBUST_SCALER(x, [10, 90], TRUE, FALSE) OVER ()': ({ x }) => number(x, (v) => v - quantile(0.5)),
  'ML.STANDARD_SCALER(7) OVER ()': () => 0,
  "ML.IMPUTER(x, 'mean') OVER ()": ({ x }) => number(x, (v) => v) ?? mean,
  "ML.IMPUTER(x, 'median') OVER ()": ({ x }) => number(x, (v) => v) ?? quantile(0.5),
  "ML.IMPUTER(level, 'most_frequent') OVER ()": ({ level }) => level ?? frequent[0],
  'ML.LABEL_ENCODER(level) OVER ()': ({ level }) =>
    [...frequent]
      .filter((l) => counts.get(l)! >= 5)
      .sort()
      .indexOf(level!) + 1,
  'ML.LABEL_ENCODER(level, 2) OVER ()': ({ level }) => frequent.slice(0, 2).sort().indexOf(level!) + 1,
  'ML.LABEL_ENCODER(level, 10, 14) OVER ()': ({ level }) =>
    [...frequent]
      .filter((l) => counts.get(l)! >= 14)
      .sort()
      .indexOf(level!) + 1,
  'ML.ONE_HOT_ENCODER(level) OVER ()': ({ level }) => [{ index: [...frequent].sort().indexOf(level!) + 1, value: 1 }],
  "ML.ONE_HOT_ENCODER(level, 'most_frequent', 3, 0) OVER ()": ({ level }) => [
    { index: frequent.slice(0, 3).sort().indexOf(level!) + 1, value: level === frequent[0] ? 0 : 1 },
  ],
  'ML.FEATURE_CROSS(STRUCT(level, id % 2 AS odd))': ({ level, id }) => ({ level_odd: level === null ? null : `${level}_${id % 2}` }),
  "ML.FEATURE_CROSS(STRUCT(id AS a, 'b' AS b, 'c' AS c), 3)": ({ id }) => ({
    a_b: `${id}_b`,
    a_b_c: `${id}_b_c`,
    a_c: `${id}_c`,
    b_c: 'b_c',
  }),
  'ML.POLYNOMIAL_EXPAND(STRUCT(id, numbers.id + 1 AS more))': ({ id }) => ({
    id,
    id_id: id * id,
    id_more: id * (id + 1),
    more: id + 1,
    more_more: (id + 1) ** 2,
  }),
  'ML.POLYNOMIAL_EXPAND(STRUCT(id), 3).id_id_id': ({ id }) => id ** 3,
  "ML.NGRAMS(['a', level, CAST(id AS VARCHAR)], [1, 2], '#')": ({ id, level }) =>
    level === null ? undefined : ['a', `a#${level}`, level, `${level}#${id}`, String(id)],
  'ML.NGRAMS([level, level, level], 2)': ({ level }) => (level === null ? undefined : [`${level} ${level}`, `${level} ${level}`]),
  'ML.NORMALIZER([id, 2, -3])': ({ id }) => [id, 2, -3].map((v) => v / Math.sqrt(id * id + 13)),
  'ML.NORMALIZER([id, 2, -3], 1)': ({ id }) => [id, 2, -3].map((v) => v / (id + 5)),
  "ML.BUCKETIZE(ML.IMPUTER(x, 'median') OVER (), [ /* one, two */ 1])": ({ x }) => bin(number(x, (v) => v) ?? quantile(0.5), [1]),
};

describe('feature functions in a SELECT', () => {
  let house: House;
  before(async () => {
    house = await openHouse();
    const values = ROWS.map(
      ({ id, x, level }) => `(${id}, ${x === null ? 'NULL' : `'${x}'::DOUBLE`}, ${level === null ? 'NULL' : `'${level}'`})`,
    );
    await house.ask(`CREATE TABLE numbers AS SELECT * FROM (VALUES ${values.join(', ')}) AS v(id, x, level)`);
  });
  after(() => house.close());

  function close(actual: unknown, expected: unknown, what: string): void {
    if (expected === undefined) return;
    if (typeof expected === 'number') assert.ok(Math.abs(Number(actual) - expected) < 1e-9, `${what}: ${String(actual)}, not ${expected}`);
    else if (expected === null || typeof expected !== 'object') assert.equal(actual, expected, what);
    else {
      assert.deepEqual(Object.keys(actual as object), Object.keys(expected), what);
      for (const [key, value] of Object.entries(expected)) close((actual as Row)[key], value, `${what}.${key}`);
    }
  }

  for (const [call, expected] of Object.entries(CASES))
    test(`${call} gives what its definition says`, async () => {
      const rows = await house.ask(`SELECT id, ${call} AS made FROM numbers`);
      assert.equal(rows.length, ROWS.length);
      for (const row of rows) close(row['made'], expected(ROWS[row['id']]!), `row ${row['id']}`);
    });

  test('give the answers of BigQuery’s reference', async () => {
    const one = async (sql: string) => Object.values((await house.ask(sql))[0]!);
    assert.deepEqual(await one('SELECT ML.BUCKETIZE(2.5, [1, 2, 3]), ML.BUCKETIZE(2.5, [1, 2, 3], TRUE)'), ['bin_3', 'bin_2']);
    assert.deepEqual(
      await one(
        "SELECT ML.BUCKETIZE(2.5, [1, 2, 3], FALSE, 'bucket_ranges'), ML.BUCKETIZE(3, [1, 2, 3], FALSE, 'bucket_ranges'), ML.BUCKETIZE(0.5, [1, 2, 3], FALSE, 'bucket_ranges_json')",
      ),
      ['[2, 3)', '[3, +inf)', '{"start": "-Infinity", "end": "1"}'],
    );
    assert.deepEqual(await one("SELECT ML.NGRAMS(['a', 'b', 'c'], [2,3], '#')"), [['a#b', 'a#b#c', 'b#c']]);
    assert.deepEqual(await one("SELECT ML.FEATURE_CROSS(STRUCT('a' AS f1, 'b' AS f2, 'c' AS f3))"), [
      { f1_f2: 'a_b', f1_f3: 'a_c', f2_f3: 'b_c' },
    ]);
    assert.deepEqual(await one('SELECT ML.POLYNOMIAL_EXPAND(STRUCT(2 AS f1, 3 AS f2))'), [{ f1: 2, f1_f1: 4, f1_f2: 6, f2: 3, f2_f2: 9 }]);
    const labels = await house.ask(
      "SELECT f, ML.LABEL_ENCODER(f, 2, 2) OVER () AS o FROM (SELECT unnest([NULL, 'a', 'b', 'b', 'c', 'c', 'c', 'd', 'd']) AS f) ORDER BY f NULLS FIRST",
    );
    assert.deepEqual(
      labels.map(({ o }) => o),
      [0, 0, 1, 1, 2, 2, 2, 0, 0],
    );
  });

  test('ML.HASH_BUCKETIZE spreads texts over its buckets, the same text always into the same one', async () => {
    const rows = await house.ask("SELECT ML.HASH_BUCKETIZE('v' || i, 8) AS b, count(*) AS n FROM range(8000) t(i) GROUP BY 1 ORDER BY 1");
    assert.deepEqual(
      rows.map(({ b }) => b),
      [0, 1, 2, 3, 4, 5, 6, 7],
    );
    for (const { n } of rows) assert.ok(n > 850 && n < 1150, String(n));
    assert.deepEqual(await house.ask("SELECT ML.HASH_BUCKETIZE('abc', 10) AS h"), [{ h: 9 }]);
  });

  test('stand wherever an expression may, beside calls of models, and not in texts and comments', async () => {
    await house.ask(`CREATE MODEL m TRANSFORM(ML.STANDARD_SCALER(x) OVER () AS x, ML.BUCKETIZE(id, [50]) AS half, y) OPTIONS(model_type = 'LINEAR_REG', input_label_cols = ['y'])
      AS SELECT id, ML.IMPUTER(x, 'mean') OVER () AS x, id * 2.0 AS y FROM numbers`);
    assert.match(house.told()[0]!.versions[0]!.query, /ML\.IMPUTER\(x, 'mean'\) OVER \(\)/, 'kept as it was sent');
    const rows = await house.ask(
      `WITH few AS (SELECT *, ML.BUCKETIZE(id, [10, 20]) AS part FROM numbers WHERE ML.BUCKETIZE(id, [90]) = 'bin_1') -- ML.BUCKETIZE(nothing)
       SELECT part, 'ML.BUCKETIZE(x, [1])' AS said, count(*) AS n FROM ML.PREDICT(MODEL m, (SELECT id, part, ML.IMPUTER(x, 'mean') OVER () AS x FROM few))
       WHERE id >= $least GROUP BY ALL ORDER BY 1`,
      { values: { least: 5 } },
    );
    assert.deepEqual(
      rows.map(({ part, said, n }) => [part, said, n]),
      [
        ['bin_1', 'ML.BUCKETIZE(x, [1])', 5],
        ['bin_2', 'ML.BUCKETIZE(x, [1])', 10],
        ['bin_3', 'ML.BUCKETIZE(x, [1])', 70],
      ],
    );
    await house.ask('CREATE VIEW parts AS SELECT id, ML.BUCKETIZE(id, [50]) AS part FROM numbers');
    assert.deepEqual(await house.ask('SELECT count(*) AS n FROM parts GROUP BY part ORDER BY part'), [{ n: 50 }, { n: 47 }]);
  });

  test('are refused with a code and their place where they are not written as they must be', async () => {
    for (const [sql, place] of [
      ['ML.STANDARD_SCALER(x)', 8],
      ['ML.BUCKETIZE(x, [1]) OVER ()', 8],
      ['ML.MIN_MAX_SCALER(x) OVER (PARTITION BY level)', 8],
      ['1, ML.BUCKETIZE(x)', 11],
      ['ML.BUCKETIZE(x, [1], 1)', 8],
      ["ML.IMPUTER(x, 'mode') OVER ()", 8],
      ['ML.FEATURE_CROSS(STRUCT(x + 1, id))', 8],
      ['ML.FEATURE_CROSS(STRUCT(x, X))', 8],
      ['ML.FEATURE_CROSS(x)', 8],
      ['ML.QUANTILE_BUCKETIZE(x, 1) OVER ()', 8],
      ['ML.BUCKETIZE(x, [1]', 8],
    ] as const)
      await assert.rejects(house.ask(`SELECT ${sql} FROM numbers`), refused('MODEL_CALL', { line: 1, column: place }), sql);
    await assert.rejects(house.ask('SELECT ML.GUESS(x) FROM numbers'), refused('SQL_FUNCTION'));
  });

  test('leave other errors of the statement where they are in what was sent', async () => {
    const before = 'SELECT ML.BUCKETIZE(x, [1, 2]) AS b,\n ML.STANDARD_SCALER(x) OVER () AS s, ';
    const at = (sql: string, word: string) => ({ position: sql.indexOf(word), line: 2, column: sql.indexOf(word) - sql.indexOf('\n') });
    const missing = `${before}nothing FROM numbers`;
    await assert.rejects(house.ask(missing), refused('SQL_FAILED', at(missing, 'nothing')));
    const secret = `${before}1 FROM secret`;
    await assert.rejects(house.ask(secret), refused('SQL_TABLE', at(secret, 'secret')));
    const inside = `${before}ML.BUCKETIZE(getenv('HOME'), [1]) FROM numbers`;
    await assert.rejects(house.ask(inside), refused('SQL_FUNCTION', at(inside, 'ML.BUCKETIZE(getenv')));
  });
});

test('a view with feature functions of a row is kept by partition, one that looks at all rows as a whole; both equal their query', async (t) => {
  const house = await openViewHouse();
  t.after(() => house.close());
  await house.transfer('main.numbers', (batch) => [
    `CREATE TABLE main.numbers AS SELECT i % 4 AS part, i AS x, ${batch}::BIGINT AS _batch FROM range(100) t(i)`,
  ]);
  await house.ask(
    `CREATE MODEL m OPTIONS(model_type = 'LINEAR_REG', input_label_cols = ['y']) AS SELECT x, ML.BUCKETIZE(x, [50]) AS half, x * 2.0 AS y FROM main.numbers`,
  );
  const queries: Readonly<Record<string, [string, string]>> = {
    row: ['partitions', 'SELECT part, x, ML.BUCKETIZE(x, [10, 50]) AS bin FROM main.numbers'],
    all: ['whole', 'SELECT part, x, ML.STANDARD_SCALER(x) OVER () AS scaled FROM main.numbers'],
    scored: [
      'partitions',
      'SELECT part, x, half, predicted_y FROM ML.PREDICT(MODEL m, (SELECT part, x, ML.BUCKETIZE(x, [50]) AS half FROM main.numbers))',
    ],
    parted: ['partitions', 'SELECT ML.BUCKETIZE(x, [30]) AS third, count(*) AS n FROM main.numbers GROUP BY 1'],
  };
  for (const [name, [, query]] of Object.entries(queries)) {
    const by = name === 'parted' ? 'ML.BUCKETIZE(x, [30])' : 'part';
    await house.ask(`CREATE MATERIALIZED VIEW mart.${name} PARTITION BY ${by} OPTIONS (refresh = '100 milliseconds') AS ${query}`);
  }
  const rows = async (sql: string) => (await house.ask(sql)).map((row) => JSON.stringify(row)).sort();
  await house.transfer('main.numbers', (batch) => [`INSERT INTO main.numbers SELECT 7, i * 10, ${batch} FROM range(5) t(i)`]);
  for (let round = 0; round < 2; round++) {
    await house.settle();
    for (const [name, [mode, query]] of Object.entries(queries)) {
      assert.equal(house.keeper.states().find((view) => view.name === `mart.${name}`)!.mode, mode, name);
      assert.deepEqual(await rows(`SELECT * EXCLUDE (_batch) FROM mart.${name}`), await rows(query), name);
    }
    // The definitions are kept as they were written, and read again.
    await house.reopen();
  }
  assert.deepEqual(house.problems, []);
});
