import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import fc from 'fast-check';
import { type ErrorCode, MillraceError } from '#core';
import { type ColumnData, checkModel, type Model, type Plan, type Progress, predict, predictor, train } from '#learn';
import { generator, numbers, slice, texts } from './data.ts';

const DAY = 86_400_000;

function shop(rows: number, seed = 5): ColumnData[] {
  const next = generator(seed);
  const visits = Array.from({ length: rows }, () => (next() < 0.05 ? Number.NaN : Math.floor(next() * 20)));
  const country = Array.from({ length: rows }, () => (next() < 0.05 ? null : ['KR', 'US', 'DE'][Math.floor(next() * 3)]!));
  const when: ColumnData = {
    name: 'since',
    kind: 'time',
    values: Float64Array.from({ length: rows }, () => Date.UTC(2024, 0, 1) + Math.floor(next() * 400) * DAY),
  };
  const bought = visits.map((v, i) => (((v || 0) > 9 && country[i] !== 'DE') !== next() < 0.05 ? 'yes' : 'no'));
  const spent = visits.map((v, i) => (v || 0) * 2 + (country[i] === 'KR' ? 10 : 0) + next());
  return [numbers('visits', visits), texts('country', country), when, texts('bought', bought), numbers('spent', spent)];
}

async function failure(code: ErrorCode, work: () => unknown): Promise<void> {
  await assert.rejects(
    async () => work(),
    (thrown) => thrown instanceof MillraceError && thrown.code === code,
  );
}

const rowOf = (columns: readonly ColumnData[], row: number): Record<string, unknown> =>
  Object.fromEntries(columns.map((c) => [c.name, c.kind === 'text' ? c.values[row] : Number.isNaN(c.values[row]) ? null : c.values[row]]));

let table: ColumnData[];
let model: Model;
let amounts: Model;
before(async () => {
  table = shop(600);
  model = await train({ target: 'bought', ignore: ['spent'], budget: { trials: 3 } }, table);
  amounts = await train({ target: 'spent', ignore: ['bought'], budget: { trials: 2 } }, table);
});

test('the same plan and data give the same model, and another seed another', async () => {
  const plan: Plan = { target: 'bought', ignore: ['spent'], budget: { trials: 3 } };
  assert.equal((await train(plan, table)).hash, model.hash);
  assert.notEqual((await train({ ...plan, seed: 2 }, table)).hash, model.hash);
});

test('one row at a time gives the same bits as all rows at once, before and after JSON', () => {
  for (const made of [model, amounts]) {
    const revived = checkModel(JSON.parse(JSON.stringify(made)));
    const batch = predict(revived, table).columns;
    const one = predictor(made);
    for (let row = 0; row < 100; row++) {
      const answer = one(rowOf(table, row));
      assert.equal(answer.value, batch[0]!.values[row]);
      answer.probabilities?.forEach((p, k) => {
        assert.equal(p, batch[k + 1]!.values[row]);
      });
    }
  }
});

test('predictions are named after the target, and probabilities add up to 1', () => {
  const columns = predict(model, table).columns;
  assert.deepEqual(
    columns.map((c) => c.name),
    ['predicted_bought', 'probability_no', 'probability_yes'],
  );
  for (let row = 0; row < 600; row++) assert.ok(Math.abs(Number(columns[1]!.values[row]) + Number(columns[2]!.values[row]) - 1) < 1e-12);
  assert.deepEqual(
    predict(amounts, table).columns.map((c) => c.name),
    ['predicted_spent'],
  );
});

test('the report says what was found, and that the model beats the rule', () => {
  const report = model.report!;
  assert.equal(report.split.kind, 'stratified');
  assert.equal(report.better, true);
  assert.equal(report.importance[0]!.column, 'visits');
  assert.equal(report.rows.learned + report.rows.judged, 600);
  const total = report.confusion!.flat().reduce((s, n) => s + n, 0);
  assert.equal(total, report.rows.judged);
  assert.ok(report.trials.reduce((s, t) => s + t.share, 0) > 0.999);
  assert.ok(
    report.thresholds!.every((t) => t.truePositives + t.falsePositives + t.falseNegatives + t.trueNegatives === report.rows.judged),
  );
});

test('missing, unseen and extra values are answered; a wrong type or a row with nothing known is refused', async () => {
  const one = predictor(model);
  for (const row of [
    { visits: null, country: null },
    { visits: 5, country: 'Atlantis', more: {} },
    { visits: 1e308 },
    { visits: '12', country: 'KR' },
    { visits: 3n, since: new Date() },
  ]) {
    assert.ok(['yes', 'no'].includes(one(row).value as string));
    assert.ok(one(row).probabilities!.every((p) => p >= 0 && p <= 1));
  }
  assert.deepEqual(one({ visits: Number.POSITIVE_INFINITY }), one({ visits: null }));
  await failure('MODEL_INPUT', () => one({ visits: 'many' }));
  await failure('MODEL_INPUT', () => one({ visits: {} }));
  await failure('MODEL_INPUT', () => one({ since: 'yesterday' }));
  await failure('MODEL_INPUT', () => one({ other: 1 }));
  await failure('MODEL_INPUT', () => predict(model, slice(table.slice(1), 0, 5)));
});

test('any change of a model file is noticed', () => {
  const text = JSON.stringify({ ...model, report: null });
  fc.assert(
    fc.property(fc.nat({ max: text.length - 1 }), fc.constantFrom('0', '7', 'A', 'z', '}', '"', ' '), (at, letter) => {
      if (text[at] === letter) return;
      const changed = text.slice(0, at) + letter + text.slice(at + 1);
      let value: unknown;
      try {
        value = JSON.parse(changed);
      } catch {
        return;
      }
      if (JSON.stringify(value) === text) return;
      assert.throws(
        () => checkModel(value),
        (thrown) => thrown instanceof MillraceError && thrown.code === 'MODEL_INVALID',
      );
    }),
    { numRuns: 150 },
  );
  for (const foreign of [null, 7, 'model', [], {}, { format: 'millrace-model' }, { format: 'millrace-model', version: 2 }]) {
    assert.throws(
      () => checkModel(foreign),
      (thrown) => thrown instanceof MillraceError && thrown.code === 'MODEL_INVALID',
    );
  }
});

test('training tells of its progress, stops when told and keeps the best so far', async () => {
  const seen: Progress[] = [];
  const stop = new AbortController();
  const made = await train(
    { target: 'bought', ignore: ['spent'], budget: { trials: 50 } },
    table,
    (p) => {
      seen.push(p);
      if (p.trials === 2) stop.abort();
    },
    stop.signal,
  );
  assert.equal(made.report!.stopped, true);
  assert.ok(made.report!.trials.length >= 2 && made.report!.trials.length < 50);
  const scores = made.report!.trials.map((t) => t.score);
  assert.equal(
    made.report!.trials.findIndex((t) => t.share === 1),
    scores.indexOf(Math.min(...scores)),
  );
  assert.ok(seen.every((p) => p.elapsedMillis >= 0 && p.round > 0));
  await failure('LEARN_STOPPED', () => train({ target: 'bought' }, table, undefined, AbortSignal.abort()));
});

test('a time budget ends the search by the clock it is given: it is used, and the chosen models are trained again within it', async () => {
  for (const millis of [4000, 20_000]) {
    let now = 0;
    const world = { now: () => now, pause: async () => {} };
    const made = await train({ target: 'bought', ignore: ['spent'], budget: { millis } }, table, () => (now += 10), undefined, world);
    assert.ok(now <= millis && now >= millis * 0.6, `${now} of ${millis}`);
    assert.equal(made.report!.stopped, false);
    assert.ok(made.report!.trials.length >= 1);
  }
});

test('where a table is large for its time the trees learn faster, so that several can be tried; with time enough, or a rate that was asked for, they do not', async () => {
  const rate = async (millis: number, trees?: Plan['trees']): Promise<number> => {
    let now = 0;
    const world = { now: () => now, pause: async () => {} };
    const plan: Plan = { target: 'bought', ignore: ['spent'], budget: { millis }, ...(trees && { trees }) };
    const stop = new AbortController();
    const seen: number[] = [];
    const { report } = await train(
      plan,
      table,
      (p) => {
        now += 10;
        if (p.trials === 3) stop.abort();
      },
      stop.signal,
      world,
    );
    for (const { candidate } of report!.trials) if (candidate.learner === 'trees') seen.push(candidate.options.learningRate);
    return seen[0]!;
  };
  assert.ok((await rate(20_000)) > 2 * (await rate(5e8)));
  assert.equal(await rate(20_000, { learningRate: 0.03 }), 0.03);
});

test('a budget that is too small for the first model keeps what it could grow', async () => {
  let now = 0;
  const many = Array.from({ length: 9000 }, (_, i) => i);
  const columns = [
    numbers(
      'x',
      many.map((i) => (i * 7919) % 997),
    ),
    numbers(
      'y',
      many.map((i) => ((i * 7919) % 997 > 500 ? 10 : 0) + ((i * 31) % 11) / 10),
    ),
  ];
  const world = { now: () => now, pause: async () => {} };
  const plan: Plan = { target: 'y', learner: 'trees', trees: { rounds: 2000, patience: 0 }, budget: { millis: 1000 } };
  const made = await train(plan, columns, () => (now += 10), undefined, world);
  const [trial] = made.report!.trials;
  assert.ok(trial!.rounds! >= 10 && trial!.rounds! < 100, `${trial!.rounds} rounds`);
  assert.ok(now <= 1000, `${now} of 1000`);
});

test('a label that is a number comes back as a number', async () => {
  const columns = [
    numbers(
      'x',
      Array.from({ length: 100 }, (_, i) => i % 10),
    ),
    numbers(
      'y',
      Array.from({ length: 100 }, (_, i) => (i % 10 > 4 ? 1 : 0)),
    ),
  ];
  const made = await train({ target: 'y', learner: 'trees' }, columns);
  assert.equal(predictor(made)({ x: 9 }).value, 1);
  assert.deepEqual([...(predict(made, columns).columns[0]!.values as Float64Array).slice(0, 10)], [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
});

test('categories too many for a bin are learned by their statistics, without learning the answers by heart', async () => {
  const next = generator(61);
  const rows = 6000;
  const shopOf = Array.from({ length: rows }, () => Math.floor(next() * 900));
  const good = shopOf.map((s) => (s % 2 === 0 ? 0.8 : 0.2));
  const columns = [
    texts(
      'seller',
      shopOf.map((s) => `s${s}`),
    ),
    numbers(
      'noise',
      shopOf.map(() => next()),
    ),
    texts(
      'ok',
      good.map((g) => (next() < g ? 'yes' : 'no')),
    ),
  ];
  const made = await train({ target: 'ok', budget: { trials: 1 }, split: { kind: 'random' } }, columns);
  assert.equal(made.encoders[0]!.kind, 'statistics');
  const accuracy = made.report!.scores.find((f) => f.metric === 'accuracy')!.value;
  assert.ok(accuracy > 0.68 && accuracy < 0.85, `accuracy ${accuracy} where 0.8 is the best there is`);
});

test('noise is told as such: no better than the rule', async () => {
  const next = generator(71);
  const columns = [
    numbers(
      'x',
      Array.from({ length: 800 }, () => next()),
    ),
    texts(
      'y',
      Array.from({ length: 800 }, () => (next() < 0.5 ? 'a' : 'b')),
    ),
  ];
  const made = await train({ target: 'y', budget: { trials: 3 } }, columns);
  assert.equal(made.report!.better, false);
  assert.ok(made.report!.warnings.some((w) => w.kind === 'no better than the rule'));
});
