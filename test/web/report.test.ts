/** What the model's page makes of a report, without a browser. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ColumnData, train } from '#learn';
import type { ModelReport } from '../../src/server/api.ts';
import { calibrationPlots } from '../../web/models/calibration.ts';
import { dependencePlots } from '../../web/models/dependence.ts';
import { movedBy } from '../../web/models/explained.ts';
import { earningsOf } from '../../web/models/money.ts';
import type { Words } from '../../web/models/plot.ts';
import { rankingPlots } from '../../web/models/ranking.ts';
import { en } from '../../web/words/en.ts';
import { generator } from '../learn/data.ts';

const words: Words = {
  t: (word, values = {}) => en[word].replace(/\{(\w+)\}/g, (_all, name: string) => String(values[name])),
  number: (value) => value.toLocaleString('en'),
  share: (value) => value.toLocaleString('en', { style: 'percent', maximumFractionDigits: 1 }),
};

/** Who leaves depends on the months, not surely. */
const rows = 1200;
const next = generator(5);
const months = Array.from({ length: rows }, () => Math.floor(next() * 72));
const left = months.map((month) => (next() < 0.6 - month / 140 ? 'yes' : 'no'));
const noise = months.map(() => next());
const columns: ColumnData[] = [
  { name: 'months', kind: 'number', values: Float64Array.from(months) },
  { name: 'noise', kind: 'number', values: Float64Array.from(noise) },
  { name: 'left', kind: 'text', values: left },
];
const trained = await train({ target: 'left', budget: { trials: 2 }, money: { hit: 100, contact: 20 } }, columns);
const report = trained.report as ModelReport;

const numbersOf = (given: { data: { rows: readonly (readonly unknown[])[] } }) => given.data.rows as number[][];

describe('what is drawn of a ranking', () => {
  const [roc, precision, gain, lift] = rankingPlots(report, 'left = yes', words);

  test('the area under the ROC is the AUC that was measured', () => {
    const points = numbersOf(roc!);
    const area = points.slice(1).reduce((sum, [x, y], at) => sum + ((x! - points[at]![0]!) * (y! + points[at]![1]!)) / 2, 0);
    const { value } = report.scores.find(({ metric }) => metric === 'auc')!;
    assert.ok(Math.abs(area - value) < 0.01, `${area} and ${value}`);
    assert.ok(roc!.says.includes(words.share(value)), roc!.says);
    assert.deepEqual(
      [points[0], points.at(-1)],
      [
        [0, 0],
        [1, 1],
      ],
    );
  });

  test('by chance is the share that the class has among the held-out rows', () => {
    const [[, ...none], [, ...all]] = report.confusion!.map((row) => [0, ...row]) as [number[], number[]];
    const sum = (counts: readonly number[]) => counts.reduce((a, b) => a + b, 0);
    const usual = sum(all) / (sum(all) + sum(none));
    const [line] = precision!.spec.guide!.lines!;
    assert.ok(Math.abs(line!.from[1] - usual) < 1e-9 && line!.from[1] === line!.to[1]);
    assert.ok(precision!.says.endsWith(`drawn at random, ${words.share(usual)} would be.`), precision!.says);
    assert.deepEqual(lift!.spec.guide!.lines, [{ name: en.curve_chance, from: [0, 1], to: [1, 1] }]);
  });

  test('gain and lift say the same: what is found, of what is taken', () => {
    const lifts = numbersOf(lift!);
    for (const [at, [taken, found]] of numbersOf(gain!).slice(1, -1).entries())
      assert.ok(Math.abs(found! - lifts[at]![0]! * lifts[at]![1]!) < 1e-9, `${taken}`);
  });

  test('nothing is drawn of a report that has no ranking', () => {
    const { ranking: _ranking, ...old } = report;
    assert.deepEqual(rankingPlots(old, '', words), []);
    assert.deepEqual(rankingPlots({ ...report, ranking: [] }, '', words), []);
    assert.deepEqual(calibrationPlots({ ...report, calibration: null }, '', words), []);
  });
});

test('promised and observed: a point a bin, and all held-out rows are among the bars', () => {
  const [kept, counts] = calibrationPlots(report, 'left = yes', words);
  assert.equal(kept!.data.rows.length, report.calibration!.length);
  assert.equal(counts!.data.rows.length, 10);
  assert.equal(
    counts!.data.rows.reduce((sum, row) => sum + Number(row[1]), 0),
    report.rows.judged,
  );
  const bin = { rows: 3, predicted: 1, observed: 1 };
  const bars = calibrationPlots({ ...report, calibration: [bin] }, '', words)[1]!.data.rows;
  assert.deepEqual(bars.at(-1), ['90–100', 3]);
});

describe('what is drawn of the columns', () => {
  const plots = (
    points: readonly (readonly [number | string | null, number])[],
    task: ModelReport['task'] = 'regression',
    flags: ReadonlySet<string> = new Set(),
  ) => {
    const dependence = [{ column: 'c', points: points.map(([value, answer]) => ({ value, answers: [answer] })) }];
    return dependencePlots({ ...report, task, dependence }, { answer: 'y', at: 0, flags }, words)[0]!;
  };

  test('a number is a curve along its values, what is missing a line across', () => {
    const { spec, data, says } = plots([
      [1, 210],
      [5, 230],
      [20, 290],
      [null, 250],
    ]);
    assert.equal(spec.kind, 'curve');
    assert.deepEqual(data.rows, [
      [1, 210],
      [5, 230],
      [20, 290],
    ]);
    assert.deepEqual(spec.guide, {
      x: { from: 1, to: 20 },
      y: { from: 200, to: 300, step: 20 },
      lines: [{ name: 'missing', from: [1, 250], to: [20, 250] }],
      bare: true,
    });
    assert.equal(says, 'Lowest 210 at 1, highest 290 at 20.');
  });

  test('categories, and two values, are bars that begin at zero; 0 and 1 of a flag are false and true', () => {
    const bars = plots([
      ['a', 210],
      ['b', 290],
      [null, 230],
    ]);
    assert.equal(bars.spec.kind, 'bar');
    assert.deepEqual(bars.data.rows, [
      ['a', 210],
      ['b', 290],
      ['missing', 230],
    ]);
    assert.deepEqual(bars.spec.guide!.y, { from: 0, to: 300 });
    const two = [
      [0, 0.2],
      [1, 0.3],
    ] as const;
    assert.deepEqual(
      plots(two).data.rows.map((row) => row[0]),
      ['0', '1'],
    );
    const flag = plots(two, 'classification', new Set(['c']));
    assert.equal(flag.says, 'Lowest 20% at false, highest 30% at true.');
    assert.deepEqual(flag.spec.guide!.y, { from: 0, to: 0.3, step: 0.1 });
  });

  test('all columns have one scale; shares begin at zero', () => {
    const drawn = dependencePlots(report, { answer: 'left = yes', at: 1, flags: new Set() }, words);
    assert.ok(drawn.length === 2 && drawn.some(({ title }) => title === 'months'));
    assert.equal(new Set(drawn.map(({ spec }) => JSON.stringify(spec.guide!.y))).size, 1);
    assert.equal(drawn[0]!.spec.guide!.y!.from, 0);
    // By how the rows were made 0.6 at 0 months and 0.09 at 71; a model of so few rows says it more carefully.
    const along = numbersOf(drawn.find(({ title }) => title === 'months')!);
    assert.ok(along[0]![1]! > 0.42 && along.at(-1)![1]! < 0.25, JSON.stringify(along));
  });
});

describe('from which probability on to act', () => {
  test('is what the prices say, and what that earns is what the report says', () => {
    const { from, profit, everyone, priced } = earningsOf(report, 80, 20);
    const money = report.money!;
    assert.deepEqual([from, profit, everyone, priced], [money.threshold, money.profit.model, money.profit.everyone, true]);
    assert.equal(from, 0.2);
  });

  test('is none where no probability is high enough, and all where acting costs nothing', () => {
    assert.deepEqual(
      { ...earningsOf(report, -5, 20), points: [] },
      { points: [], from: null, profit: 0, everyone: earningsOf(report, -5, 20).everyone, priced: true },
    );
    // As a report says it where hit_value is 0 (test/learn/calibrate).
    for (const cost of [0, 5]) assert.equal(earningsOf(report, -cost, cost).from, null);
    const free = earningsOf(report, 10, 0);
    assert.deepEqual([free.from, free.profit], [0, free.everyone]);
  });

  test('is read from the counts of an older report', () => {
    const { acting: _acting, money: _money, ...old } = report;
    assert.equal(earningsOf(old, 80, 20).profit, report.money!.profit.model);
  });

  test('is the best of the held-out rows where class weights moved the probabilities', () => {
    const weighted = { ...report, warnings: [{ kind: 'class weights', column: null, text: '' }] };
    const { points, profit, priced } = earningsOf(weighted, 80, 20);
    assert.equal(priced, false);
    assert.equal(profit, Math.max(...points.map((point) => point.profit)));
    assert.equal(earningsOf(weighted, -1, 5).from, null);
  });
});

describe('what moved a prediction', () => {
  const columns = Object.fromEntries(Array.from({ length: 10 }, (_, at) => [`c${at}`, (at % 2 === 0 ? 1 : -1) * at]));

  test('is the class that was predicted, its weightiest columns first, and the others together', () => {
    const explained = [
      { of: 'a', scale: 'score', base: 0, columns: {} },
      { of: 'b', scale: 'score', base: 0.5, columns },
    ] as const;
    const { of, isAnswer, most, others, rest } = movedBy(explained, 'b');
    assert.deepEqual([of, isAnswer, others, rest], ['b', false, 2, -1]);
    assert.deepEqual(
      most.map(([column]) => column),
      ['c9', 'c8', 'c7', 'c6', 'c5', 'c4', 'c3', 'c2'],
    );
  });

  test('adds up to a number as it stands, unless a link is between', () => {
    const of = (base: number) => [{ of: null, scale: 'score', base, columns: { x: 2 } }] as const;
    assert.equal(movedBy(of(5), 7).isAnswer, true);
    assert.equal(movedBy(of(5), Math.exp(7)).isAnswer, false);
  });
});
