import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { Cell, ModelFile } from '#analyze';
import { clockOf, MillraceError } from '#core';
import { type ColumnData, forests, type Plan, predictor, sharePrior, train } from '#learn';
import { modelPath, readModelFile } from '../../src/platform/models/file.ts';
import { bring, broughtAnswerer } from '../../src/platform/models/onnx/brought.ts';
import { readOnnx, writeOnnx } from '../../src/platform/models/onnx/proto.ts';
import { replayOnnx } from '../../src/platform/models/onnx/proven.ts';
import { onnxOf } from '../../src/platform/models/onnx/write.ts';
import { replayScript } from '../../src/platform/models/script.ts';
import { fileOf as fileIn, type House, openHouse, refused, TREES, VISITORS } from './fixture.ts';
import { inRuntime, withoutRuntime } from './runtime.ts';

const ABOUT = { producer: 'test', doc: '' };
const CASES = join(import.meta.dirname, 'cases');
const cases = readdirSync(CASES).filter((name) => name.endsWith('.onnx'));

type TableRow = Record<string, Cell>;

/** Rows of numbers with holes, categories few and many, and times before 1970 and in leap years. */
function tableOf(rows: number): TableRow[] {
  const part = (i: number, by: number) => ((i * by) % 1009) / 1009;
  return Array.from({ length: rows }, (_, i) => ({
    number: i % 11 === 0 ? null : part(i, 7919) * 50,
    few: i % 17 === 0 ? null : ['a', 'b', 'c', 'two words', '한국', 'f', ''][(i * 31) % 7]!,
    many: `user ${(i * 37) % 400}`,
    time: i % 19 === 0 ? null : Date.UTC(1959, 10, 3) + ((i * 104_729) % 950_000) * 3_600_000,
  }));
}

const KINDS = { number: 'number', few: 'text', many: 'text', time: 'time' } as const;

async function fileOf(
  plan: Omit<Plan, 'target'>,
  target: (row: TableRow, at: number) => number | string,
  { rows = 2500, zone = null as string | null } = {},
): Promise<ModelFile> {
  const table = tableOf(rows);
  const columns = Object.entries(KINDS).map(([name, kind]): ColumnData => {
    if (kind === 'text') return { name, kind, values: table.map((row) => row[name] as string | null) };
    const clocked = kind === 'time' && zone !== null ? { clock: clockOf(zone) } : {};
    return { name, kind, values: Float64Array.from(table, (row) => (row[name] as number | null) ?? Number.NaN), ...clocked };
  });
  const answers = table.map(target);
  const text = typeof answers[0] === 'string';
  columns.push(
    text
      ? { name: 'y', kind: 'text', values: answers as string[] }
      : { name: 'y', kind: 'number', values: Float64Array.from(answers as number[]) },
  );
  const model = await train({ target: 'y', ...plan }, columns);
  const inputs = Object.entries(KINDS).map(([name, kind]) => ({ name, kind, type: 'any' }));
  const about = { format: 'millrace-model-file', version: 1, name: 'main.m', created: '', type: 'AUTOML', transform: null } as const;
  const head = { plan: { target: 'y', ...plan }, inputs, target: { name: 'y', kind: 'text', type: 'VARCHAR' }, profile: [] } as const;
  return { ...about, ...head, model, golden: { rows: [], answers: [] } };
}

/** The hour that an Intl of the zone shows. */
const clockHour = (time: number, timeZone: string): number =>
  Number(new Intl.DateTimeFormat('en-US', { timeZone, hour: 'numeric', hourCycle: 'h23' }).format(time));

const hotel = (row: TableRow, i: number) => ((row['number'] as number) ?? 9) + (row['few'] === 'c' ? 20 : 0) + ((i * 13) % 30);
const month = (row: TableRow) => (row['time'] === null ? 3 : new Date(row['time'] as number).getUTCMonth());
const learners: readonly (readonly [string, Omit<Plan, 'target'>, (row: TableRow, i: number) => number | string])[] = [
  [
    'trees of two classes',
    { task: 'classification', learner: 'trees', trees: { rounds: 60 } },
    (r, i) => (hotel(r, i) > 45 ? 'yes' : 'no'),
  ],
  ['trees of three', { task: 'classification', learner: 'trees', trees: { rounds: 20 } }, (r) => ['x', 'y', 'z'][month(r) % 3]!],
  ['trees of a value', { task: 'regression', learner: 'trees', trees: { rounds: 60 } }, (r, i) => hotel(r, i) + month(r)],
  ['trees of a count', { task: 'regression', learner: 'trees', trees: { rounds: 30, loss: 'poisson' } }, (r) => month(r)],
  ['a line through two classes', { task: 'classification', learner: 'linear' }, (r, i) => (hotel(r, i) > 45 ? 'yes' : 'no')],
  ['a line through three', { task: 'classification', learner: 'linear' }, (r) => ['x', 'y', 'z'][month(r) % 3]!],
  ['a line through a value', { task: 'regression', learner: 'linear' }, (r, i) => hotel(r, i) + month(r)],
  [
    'a forest of two classes',
    { task: 'classification', learner: 'trees', trees: { ...forests.randomForest, ...sharePrior, rounds: 20 } },
    (r, i) => (hotel(r, i) > 45 ? 'yes' : 'no'),
  ],
  [
    'a forest of three, without a prior',
    { task: 'classification', learner: 'trees', trees: { ...forests.randomForest, rounds: 20 } },
    (r) => ['x', 'y', 'z'][month(r) % 3]!,
  ],
  ['a search', { learner: 'auto', budget: { trials: 4 } }, (r, i) => (hotel(r, i) > 45 ? 'yes' : 'no')],
];

/** Rows that training never saw: other categories, blanks, times on the last day of February. */
function strangeRows(count: number): TableRow[] {
  return tableOf(count).map((row, i) => {
    if (i % 23 === 0) return { ...row, few: 'never seen' };
    if (i % 29 === 0) return { ...row, time: Date.UTC(1900 + (i % 300), 1, 28 + (i % 2), i % 24) };
    return i % 31 === 0 ? { number: null, few: null, many: null, time: null } : row;
  });
}

function answersOf(file: ModelFile, rows: readonly TableRow[]): number[][] {
  assert.ok(file.model.format === 'millrace-model');
  const answer = predictor(file.model);
  return rows.map((row) => {
    const { value, probabilities } = answer(row);
    return probabilities === null ? [Number(value)] : [...probabilities];
  });
}

/** The exported graph answers the rows as asked in SQL, by Millrace's own reading of it and, where it is there, by onnxruntime. */
function equalEverywhere(t: TestContext, file: ModelFile, golden: ModelFile['golden']): void {
  const bytes = writeOnnx(onnxOf(file).graph, ABOUT);
  replayOnnx({ ...file, golden }, bytes);
  if (withoutRuntime !== false) t.diagnostic(withoutRuntime);
  else assert.ok(inRuntime(bytes, golden.rows, golden.answers).worst < 1e-6);
}

describe('models as ONNX', { timeout: 120_000 }, () => {
  for (const [name, plan, target] of learners) {
    test(`${name}: onnxruntime answers as Millrace does`, { skip: withoutRuntime }, async () => {
      const file = await fileOf(plan, target);
      const rows = strangeRows(3000);
      const answers = answersOf(file, rows);
      const { shape, worst } = inRuntime(writeOnnx(onnxOf(file).graph, ABOUT), rows, answers);
      assert.deepEqual(shape, [rows.length, answers[0]!.length]);
      assert.ok(worst < 1e-9, `differs by ${worst}`);
    });
  }

  for (const [name, plan, target] of learners.filter(([name]) => name.includes('forest')))
    test(`${name}: the graph, as read here, and the script answer as Millrace does`, async (t) => {
      const file = await fileOf(plan, target);
      const rows = strangeRows(300);
      const golden = { rows, answers: answersOf(file, rows) };
      equalEverywhere(t, file, golden);
      await replayScript({ ...file, golden });
    });

  for (const zone of ['Asia/Seoul', 'America/New_York', 'Asia/Kathmandu'])
    test(`times by the clock of ${zone}: the graph and the script answer as Millrace does`, async (t) => {
      const hour = (row: TableRow) => (row['time'] === null ? 30 : clockHour(row['time'] as number, zone));
      const file = await fileOf({ task: 'regression', learner: 'trees', trees: { rounds: 40 } }, hour, { zone });
      const rows = strangeRows(600);
      const answers = answersOf(file, rows);
      const golden = { rows, answers };
      equalEverywhere(t, file, golden);
      await replayScript({ ...file, golden });
      const since = Date.UTC(1970, 0, 1);
      const wrong = rows.filter((row, i) => (row['time'] as number) >= since && Math.abs(answers[i]![0]! - hour(row)) > 0.5);
      assert.ok(wrong.length < rows.length / 20, `${wrong.length} of ${rows.length}`);
    });

  test('100,000 rows with missing values and categories never seen: onnxruntime is within 1e-6', { skip: withoutRuntime }, async () => {
    const [, plan, target] = learners[0]!;
    const file = await fileOf(plan, target);
    const rows = strangeRows(100_000);
    const { worst } = inRuntime(writeOnnx(onnxOf(file).graph, ABOUT), rows, answersOf(file, rows));
    assert.ok(worst < 1e-6, `differs by ${worst}`);
  });

  test('a file whose leaves, splits or sets were changed is refused by the golden rows', async () => {
    const file = await fileOf(learners[0]![1], learners[0]![2]);
    const rows = strangeRows(300);
    const golden = { ...file, golden: { rows, answers: answersOf(file, rows) } };
    const { graph } = onnxOf(golden);
    replayOnnx(golden, writeOnnx(graph, ABOUT));
    for (const part of ['leaf_weights', 'nodes_splits', 'nodes_missing_value_tracks_true', 'membership_values']) {
      const nodes = graph.nodes.map((node) => {
        const attribute = node.attributes[part];
        if (node.op !== 'TreeEnsemble' || attribute === undefined) return node;
        const turned =
          attribute.kind === 'ints'
            ? { ...attribute, value: attribute.value.map((bit) => 1 - bit) }
            : attribute.kind === 'tensor' && attribute.value.type === 'double'
              ? { ...attribute, value: { ...attribute.value, values: attribute.value.values.map((v) => v + 1) } }
              : assert.fail(part);
        return { ...node, attributes: { ...node.attributes, [part]: turned } };
      });
      assert.throws(
        () => replayOnnx(golden, writeOnnx({ ...graph, nodes }, ABOUT)),
        refused('MODEL_GOLDEN', { target: 'as exported ONNX' }),
        part,
      );
    }
  });

  test('free text, whose words ONNX can’t hash, is refused', async () => {
    const file = await fileOf(learners[4]![1], learners[4]![2]);
    assert.ok(file.model.format === 'millrace-model');
    const model = { ...file.model, encoders: [...file.model.encoders, { kind: 'text', column: 'words' } as const] };
    assert.throws(() => onnxOf({ ...file, model }), refused('MODEL_EXPORT', { format: 'ONNX' }));
  });
});

describe('ONNX models of others', () => {
  for (const name of cases) {
    test(`${name.replace('.onnx', '')} answers as in onnxruntime`, () => {
      const said = JSON.parse(readFileSync(join(CASES, name.replace('.onnx', '.json')), 'utf8')) as {
        columns: string[];
        rows: TableRow[];
        answers: number[][];
        labels: (string | number)[] | null;
      };
      const wide = name !== 'sklearn-pipeline.onnx';
      const { model } = bring(readFileSync(join(CASES, name)), { target: 'y', columns: wide ? said.columns : null, classes: null });
      const columns = said.columns.map((column): ColumnData => {
        const values = said.rows.map((row) => row[column] ?? null);
        if (values.some((value) => typeof value === 'string')) return { name: column, kind: 'text', values: values as string[] };
        return {
          name: column,
          kind: 'number',
          values: Float64Array.from(values, (value) => (value === null ? Number.NaN : Number(value))),
        };
      });
      const answers = broughtAnswerer(model)(columns);
      const width = said.answers[0]!.length;
      assert.equal(model.task, said.labels === null ? 'regression' : 'classification');
      said.answers.forEach((expected, row) => {
        for (const [k, value] of expected.entries())
          assert.ok(
            Math.abs(answers[row * width + k]! - value) < 2e-6 * Math.max(1, Math.abs(value)),
            `row ${row}: ${answers[row * width + k]} and ${value}`,
          );
      });
      if (model.classes === null) return;
      const best = said.answers.map((row) => model.classes![row.indexOf(Math.max(...row))]);
      assert.deepEqual(best, said.labels!.map(String));
    });
  }

  test('a file that was cut or changed anywhere gives a coded error or answers, and nothing else', () => {
    const sound = cases.map((name) => ({ name, bytes: readFileSync(join(CASES, name)) }));
    const broken = fc.record({
      which: fc.nat(sound.length - 1),
      length: fc.double({ min: 0, max: 1, noNaN: true }),
      places: fc.array(fc.tuple(fc.double({ min: 0, max: 0.999, noNaN: true }), fc.nat(255)), { maxLength: 4 }),
    });
    fc.assert(
      fc.property(broken, ({ which, length, places }) => {
        const { name, bytes } = sound[which]!;
        const changed = Buffer.from(places.length === 0 ? bytes.subarray(0, Math.floor(length * bytes.length)) : bytes);
        for (const [place, byte] of places) changed[Math.floor(place * changed.length)] = byte;
        const columns = name === 'sklearn-pipeline.onnx' ? null : ['a', 'b', 'c', 'd'];
        try {
          bring(changed, { target: 'y', columns, classes: null });
        } catch (thrown) {
          assert.ok(thrown instanceof MillraceError, `${name}: ${String((thrown as Error).stack)}`);
        }
      }),
      { numRuns: 400 },
    );
  });
});

let house: House;
const ask: House['ask'] = (sql, more) => house.ask(sql, more);
const shown = (name: string) => join(house.dataPath, 'shown', name);

/** Every feature function that has operators, over numbers with holes, texts, flags and times. */
const FEATURES = `ML.STANDARD_SCALER(pages) OVER () AS scaled, ML.MIN_MAX_SCALER(pages) OVER () AS ranged, ML.MAX_ABS_SCALER(seen) OVER () AS late,
  ML.ROBUST_SCALER(pages) OVER () AS pages, ML.BUCKETIZE(pages, [20, 50]) AS part, ML.QUANTILE_BUCKETIZE(pages, 4) OVER () AS quarter,
  ML.IMPUTER(pages, 'median') OVER () AS filled, ML.IMPUTER(source, 'most_frequent') OVER () AS known, ML.ONE_HOT_ENCODER(source, 'none', 2) OVER () AS few,
  ML.LABEL_ENCODER(member, 1) OVER () AS flag, ML.ONE_HOT_ENCODER(pages, 'none', 30) OVER () AS often, source,
  ML.FEATURE_CROSS(STRUCT(source, member)) AS both, ML.FEATURE_CROSS(STRUCT(member, pages, source), 3) AS three,
  ML.POLYNOMIAL_EXPAND(STRUCT(pages, member)) AS grown`;

describe('feature functions of TRANSFORM in ONNX', { timeout: 120_000 }, () => {
  const kinds: readonly (readonly [string, string, string])[] = [
    ['trees', "model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = 15", 'bought'],
    ['a line', "model_type = 'LOGISTIC_REG'", 'bought'],
    ['a line through a value', "model_type = 'LINEAR_REG'", 'spent'],
  ];
  for (const [name, options, label] of kinds)
    test(`${name}: the exported file answers as SQL does, from the raw columns, here and in onnxruntime`, async (t) => {
      const own = await openHouse();
      t.after(() => own.close());
      await own.ask(VISITORS);
      await own.ask('UPDATE visitors SET source = NULL WHERE id % 17 = 0');
      await own.ask(
        `CREATE MODEL made TRANSFORM(${FEATURES}, ${label}) OPTIONS(${options}, input_label_cols = ['${label}']) AS SELECT * FROM visitors`,
      );
      const file = fileIn(own, 'main.made', 1);
      const { inputs } = onnxOf(file);
      assert.deepEqual(inputs.map((input) => `${input.name} ${input.type}`).sort(), [
        'member double',
        'pages double',
        'seen double',
        'source string',
      ]);
      const answer =
        label === 'bought' ? 'predicted_bought_probs[1].prob AS a, predicted_bought_probs[2].prob AS b' : 'predicted_spent AS a';
      const asked = await own.ask(`SELECT pages, source, member::INT AS member, epoch_ms(seen) AS seen, ${answer}
        FROM ML.PREDICT(MODEL made, (SELECT * REPLACE (CASE WHEN id % 19 = 0 THEN 'never seen' ELSE source END AS source, CASE WHEN id % 23 = 0 THEN 5000 ELSE pages END AS pages) FROM visitors))`);
      const rows = asked.map(({ a: _a, b: _b, ...row }) => row);
      const answers = asked.map(({ a, b }) => (b === undefined ? [a] : [a, b]));
      equalEverywhere(t, file, { rows, answers });
    });

  test('texts that are joined by "_" and have "_" in them are told apart as they are joined, in any number of columns', async (t) => {
    const own = await openHouse();
    t.after(() => own.close());
    await own.ask(VISITORS);
    // mail_1 and x is mail and 1_x: one level of the cross.
    const texts = `CASE id % 5 WHEN 0 THEN 'mail_1' WHEN 1 THEN '_' WHEN 2 THEN 'ad__' ELSE 'mail' END AS first, ['x', '1_x', '_x', '_'][1 + id % 4] AS second`;
    await own.ask(
      `CREATE MODEL made TRANSFORM(ML.FEATURE_CROSS(STRUCT(first, second)) AS pair, ML.FEATURE_CROSS(STRUCT(second, pages, first), 3) AS three, spent)
        OPTIONS(model_type = 'LINEAR_REG', input_label_cols = ['spent']) AS SELECT *, ${texts} FROM visitors`,
    );
    const file = fileIn(own, 'main.made', 1);
    const asked = await own.ask(`SELECT first, second, pages, predicted_spent AS a FROM ML.PREDICT(MODEL made, (
      SELECT pages, CASE WHEN id % 7 = 0 THEN NULL WHEN id % 11 = 0 THEN 'new_' ELSE first END AS first, CASE WHEN id % 13 = 0 THEN 'mail' ELSE second END AS second
      FROM (SELECT *, ${texts} FROM visitors)))`);
    assert.ok(new Set(asked.map(({ a }) => a)).size > 100, 'the cross counts');
    const rows = asked.map(({ a: _, ...row }) => row);
    const answers = asked.map(({ a }) => [a]);
    equalEverywhere(t, file, { rows, answers });
  });

  test('blanks around texts are read nowhere, and texts of nothing else are missing: in training, in SQL and in the graph', async (t) => {
    const own = await openHouse();
    t.after(() => own.close());
    await own.ask(VISITORS);
    const blanks = (source: string) => `(SELECT * REPLACE (${source} AS source) FROM visitors)`;
    const made = `ML.IMPUTER(source, 'most_frequent') OVER () AS known, ML.FEATURE_CROSS(STRUCT(source, member)) AS both, ML.LABEL_ENCODER(source) OVER () AS level`;
    await own.ask(`CREATE MODEL made TRANSFORM(${made}, bought) OPTIONS(model_type = 'LOGISTIC_REG', input_label_cols = ['bought'])
      AS SELECT * FROM ${blanks("CASE id % 3 WHEN 0 THEN ' ' || source WHEN 1 THEN source || '  ' ELSE CASE WHEN id % 5 = 0 THEN ' ' ELSE source END END")}`);
    const answered = (source: string) =>
      own.ask(`SELECT id, source, member::INT AS member, predicted_bought_probs[1].prob AS a, predicted_bought_probs[2].prob AS b
        FROM ML.PREDICT(MODEL made, ${blanks(source)}) ORDER BY id`);
    const plain = await answered('CASE WHEN id % 7 = 0 THEN NULL ELSE source END');
    const spaced = await answered("CASE WHEN id % 7 = 0 THEN '  ' ELSE '  ' || source || ' ' END");
    assert.ok(new Set(plain.map(({ a }) => a)).size > 8);
    assert.deepEqual(
      spaced.map(({ a }) => a),
      plain.map(({ a }) => a),
    );
    const file = fileIn(own, 'main.made', 1);
    const rows = spaced.map(({ source, member }) => ({ source, member }));
    replayOnnx({ ...file, golden: { rows, answers: spaced.map(({ a, b }) => [a, b]) } }, writeOnnx(onnxOf(file).graph, ABOUT));
  });
});

describe('ONNX in SQL', { timeout: 120_000 }, () => {
  before(async () => {
    house = await openHouse();
    await ask(VISITORS);
    await ask(`CREATE MODEL buyers OPTIONS(${TREES}, input_label_cols = ['bought']) AS SELECT * FROM visitors`);
    mkdirSync(join(house.dataPath, 'shown'), { recursive: true });
    for (const name of cases) copyFileSync(join(CASES, name), shown(name));
  });
  after(() => house.close());

  test('EXPORT MODEL writes ONNX, JSON and JavaScript below the folder of models, and no file twice', async () => {
    for (const [format, uri] of Object.entries({ ONNX: 'team/buyers.onnx', JSON: 'buyers.json', JS: 'buyers.mjs' })) {
      const [row] = await ask(`EXPORT MODEL buyers@1 OPTIONS(uri = '${uri}', format = '${format}')`);
      assert.deepEqual([row!['model'], row!['file'], row!['bytes']], ['main.buyers@1', `models/${uri}`, readFileSync(shown(uri)).length]);
    }
    await assert.rejects(ask(`EXPORT MODEL buyers OPTIONS(uri = 'buyers.json', format = 'JSON')`), refused('MODEL_PATH'));
    await ask(`EXPORT MODEL buyers OPTIONS(uri = 'buyers.json', format = 'JSON', overwrite = TRUE)`);
    assert.deepEqual(
      readdirSync(shown('')).filter((name) => name.endsWith('.part')),
      [],
    );
    const file = readModelFile(modelPath(house.dataPath, 'main.buyers', 1), {
      name: 'main.buyers',
      version: 1,
      hash: house.told()[0]!.versions[0]!.hash,
    });
    assert.deepEqual(JSON.parse(readFileSync(shown('buyers.json'), 'utf8')), file);
    replayOnnx(file, readFileSync(shown('team/buyers.onnx')));
  });

  test('what was exported is brought back and predicts the same', async () => {
    await ask(`CREATE MODEL again OPTIONS(model_type = 'ONNX', model_path = 'team/buyers.onnx', input_label_cols = ['bought'])`);
    const [row] = await ask(`SELECT count(*) AS n, max(abs(a.predicted_bought_probs[2].prob - b.predicted_bought_probs[2].prob)) AS worst,
        count(*) FILTER (a.predicted_bought <> b.predicted_bought) AS other
      FROM ML.PREDICT(MODEL buyers, TABLE visitors) a JOIN ML.PREDICT(MODEL again, (SELECT id, pages, coalesce(source, '') AS source, seen, member FROM visitors)) b USING (id)`);
    assert.ok(row!['n'] === 4000 && row!['worst'] < 1e-12 && row!['other'] === 0, JSON.stringify(row));
  });

  test('an exported model whose classes are numbers or flags comes back with its classes', async () => {
    for (const [name, label] of [
      ['flags', 'member'],
      ['numbers', 'member::INTEGER + 3'],
    ]) {
      await ask(
        `CREATE MODEL ${name} OPTIONS(model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = 5, input_label_cols = ['y']) AS SELECT pages, source, ${label} AS y FROM visitors`,
      );
      await ask(`EXPORT MODEL ${name} OPTIONS(uri = '${name}.onnx')`);
      await ask(`CREATE MODEL ${name}_again OPTIONS(model_type = 'ONNX', model_path = '${name}.onnx', input_label_cols = ['y'])`);
      const [row] = await ask(`SELECT count(*) AS n, max(abs(a.predicted_y_probs[2].prob - b.predicted_y_probs[2].prob)) AS worst,
          count(*) FILTER (a.predicted_y::INTEGER <> b.predicted_y) AS other
        FROM ML.PREDICT(MODEL ${name}, TABLE visitors) a JOIN ML.PREDICT(MODEL ${name}_again, (SELECT id, pages, coalesce(source, '') AS source FROM visitors)) b USING (id)`);
      assert.ok(row!['n'] === 4000 && row!['worst'] < 1e-12 && row!['other'] === 0, JSON.stringify(row));
    }
  });

  test('a pipeline of scikit-learn is evaluated like a trained model; what only training knows is refused', async () => {
    await ask(`CREATE MODEL pipe OPTIONS(model_type = 'ONNX', model_path = 'sklearn-pipeline.onnx', input_label_cols = ['bought'])`);
    await ask(
      `CREATE TABLE places AS SELECT (i % 40) / 10.0 - 2 AS a, i % 7 AS b, ['Seoul', 'Jeju', 'Tokyo'][1 + i % 3] AS place, CASE WHEN i % 3 = 1 THEN 'yes' ELSE 'no' END AS bought FROM range(300) t(i)`,
    );
    const [given] = await ask('SELECT * FROM ML.EVALUATE(MODEL pipe, TABLE places)');
    const [counted] = await ask(`SELECT avg((predicted_bought = bought)::INT) AS accuracy FROM ML.PREDICT(MODEL pipe, TABLE places)`);
    assert.ok(Math.abs(given!['accuracy'] - counted!['accuracy']) < 1e-12);
    for (const name of ['EVALUATE', 'TRAINING_INFO', 'WEIGHTS', 'FEATURE_IMPORTANCE'])
      await assert.rejects(ask(`SELECT * FROM ML.${name}(MODEL pipe)`), refused('MODEL_FUNCTION'), name);
    await assert.rejects(ask(`EXPORT MODEL pipe OPTIONS(uri = 'pipe.mjs', format = 'JS')`), refused('MODEL_EXPORT'));
    await ask(`EXPORT MODEL pipe OPTIONS(uri = 'pipe.onnx')`);
    assert.deepEqual(readFileSync(shown('pipe.onnx')), readFileSync(join(CASES, 'sklearn-pipeline.onnx')));
    await assert.rejects(
      ask('SELECT * FROM ML.PREDICT(MODEL pipe, (SELECT a, b FROM places))'),
      refused('MODEL_INPUT', { column: 'place' }),
    );
  });

  test('files that can’t be brought are refused with a code, and no model is made', async () => {
    writeFileSync(shown('text.onnx'), 'this is no protocol buffer');
    writeFileSync(shown('cut.onnx'), readFileSync(join(CASES, 'sklearn-forest.onnx')).subarray(0, 5000));
    const graph = readOnnx(readFileSync(join(CASES, 'sklearn-linear.onnx')));
    writeFileSync(
      shown('unknown.onnx'),
      writeOnnx({ ...graph, nodes: graph.nodes.map((node) => ({ ...node, op: 'Loop', domain: '' })) }, ABOUT),
    );
    const narrow = Object.entries(graph.constants);
    const nodes = graph.nodes.map((node) => ({
      ...node,
      attributes: { ...node.attributes, coefficients: { kind: 'floats', value: [1, 2] } as const },
    }));
    writeFileSync(shown('shape.onnx'), writeOnnx({ ...graph, constants: Object.fromEntries(narrow), nodes }, ABOUT));
    symlinkSync('/etc/passwd', shown('link.onnx'));
    symlinkSync('/etc', shown('out'));
    const four = `, input_cols = ['a', 'b', 'c', 'd']`;
    for (const [path, more, code] of [
      ['text.onnx', four, 'MODEL_ONNX'],
      ['cut.onnx', four, 'MODEL_ONNX'],
      ['unknown.onnx', four, 'MODEL_ONNX'],
      ['shape.onnx', four, 'MODEL_ONNX'],
      ['sklearn-forest.onnx', '', 'MODEL_ONNX'],
      ['sklearn-forest.onnx', `, input_cols = ['a', 'b']`, 'MODEL_ONNX'],
      ['sklearn-forest.onnx', `${four}, classes = ['x']`, 'MODEL_ONNX'],
      ['sklearn-forest.onnx', `${four}, budget = 3`, 'MODEL_OPTION'],
      ['absent.onnx', four, 'MODEL_PATH'],
      ['link.onnx', four, 'MODEL_PATH'],
      ['out/passwd', four, 'MODEL_PATH'],
      ['../secret.onnx', four, 'MODEL_PATH'],
      ['/etc/passwd', four, 'MODEL_PATH'],
    ] as const)
      await assert.rejects(ask(`CREATE MODEL bad OPTIONS(model_type = 'ONNX', model_path = '${path}'${more})`), refused(code), path + more);
    await assert.rejects(
      ask(`CREATE MODEL bad OPTIONS(model_type = 'ONNX', model_path = 'cut.onnx') AS SELECT 1 AS one`),
      refused('MODEL_OPTION'),
    );
    await assert.rejects(ask(`CREATE MODEL bad OPTIONS(model_path = 'cut.onnx')`), refused('MODEL_OPTION'));
    await assert.rejects(ask(`CREATE MODEL bad OPTIONS(model_type = 'AUTOML')`), refused('SQL_SYNTAX'));
    await assert.rejects(ask(`EXPORT MODEL buyers OPTIONS(uri = 'out/x.onnx')`), refused('MODEL_PATH'));
    await assert.rejects(ask(`EXPORT MODEL buyers OPTIONS(uri = 'x.onnx')`, { role: 'viewer' }), refused('SQL_KIND'));
    assert.ok(!house.told().some(({ name }) => name === 'main.bad'));
  });
});
