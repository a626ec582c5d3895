import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ColumnData, type Plan, predict, train } from '#learn';
import { chooseSplit, divide, type SplitDecision } from '../../src/learn/auto/split.ts';
import { generator, numbers, texts } from './data.ts';

function table(rows: number, more: readonly ColumnData[] = []): ColumnData[] {
  const next = generator(rows);
  const x = Array.from({ length: rows }, () => next());
  return [
    numbers('x', x),
    texts(
      'y',
      x.map((v) => (next() < v ? 'yes' : 'no')),
    ),
    ...more,
  ];
}

const trees: Plan = { target: 'y', learner: 'trees', trees: { rounds: 10 } };

test('a share of rows is held out to within a row of each class; a group is never torn; the latest rows are judged', () => {
  fc.assert(
    fc.property(fc.integer({ min: 20, max: 400 }), fc.double({ min: 0.01, max: 0.9, noNaN: true }), fc.integer(), (rows, share, seed) => {
      const values = Float64Array.from({ length: rows }, (_, i) => Number(i % 4 === 0));
      const target = { rows: Uint32Array.from(values.keys()), values };
      const group = texts(
        'g',
        Array.from(values, (_, i) => `g${i % 37}`),
      );
      const at = numbers(
        't',
        Array.from(values, (_, i) => (i * 7919) % rows),
      );
      const side = (kind: SplitDecision['kind'], column: string | null) =>
        divide({ kind, column, why: '' }, [group, at], target, share, seed >>> 0);
      for (const { learn, judge } of [side('stratified', null), side('group', 'g'), side('time', 't')])
        assert.deepEqual(
          [...learn, ...judge].sort((a, b) => a - b),
          [...target.rows],
        );
      const dealt = side('stratified', null);
      for (const label of [0, 1]) {
        const all = values.filter((v) => v === label).length;
        const held = dealt.judge.filter((row) => values[row] === label).length;
        assert.ok(Math.abs(held - all * share) <= 1 + 1e-9, `${held} of ${all}`);
      }
      const met = new Set(Array.from(side('group', 'g').learn, (row) => row % 37));
      for (const row of side('group', 'g').judge) assert.ok(!met.has(row % 37));
      const timed = side('time', 't');
      const latest = Math.max(...Array.from(timed.learn, (row) => Number(at.values[row])));
      for (const row of timed.judge) assert.ok(Number(at.values[row]) > latest);
    }),
    { numRuns: 100 },
  );
});

test('of few groups each side has one, whatever the seed', async () => {
  const rows = 60;
  const x = numbers(
    'x',
    Array.from({ length: rows }, (_, i) => (i * 7) % 11),
  );
  for (const groups of [3, 5, 8]) {
    const group = texts(
      'g',
      Array.from({ length: rows }, (_, i) => `g${i % groups}`),
    );
    const target = { rows: Uint32Array.from({ length: rows }, (_, i) => i), values: Float64Array.from(x.values, Number) };
    for (let seed = 0; seed < 40; seed++)
      for (const share of [0.05, 0.2, 0.3, 0.9]) {
        const { learn, judge } = divide({ kind: 'group', column: 'g', why: '' }, [group], target, share, seed);
        assert.equal(learn.length + judge.length, rows);
        assert.ok(learn.length > 0 && judge.length > 0, `${groups} groups, seed ${seed}, share ${share}`);
        const met = new Set(Array.from(learn, (row) => row % groups));
        assert.ok(judge.every((row) => !met.has(row % groups)));
      }
  }
});

test('the latest rows may be of one class: nothing that is said of them is no number', async () => {
  const rows = 400;
  const when: ColumnData = { name: 'when', kind: 'time', values: Float64Array.from({ length: rows }, (_, i) => i * 86_400_000) };
  const y = texts(
    'y',
    Array.from({ length: rows }, (_, i) => (i < 200 ? 'no' : 'yes')),
  );
  const { report } = await train({ target: 'y', budget: { trials: 1 } }, [when, y]);
  assert.equal(report!.split.kind, 'time');
  const told = report!.warnings.filter(({ kind }) => kind === 'leakage').map(({ text }) => text);
  assert.deepEqual([told.length, told.join().includes('NaN')], [1, false], told.join());
});

test('a column of sides: what it holds out is judged and never learned from', async () => {
  const rows = 600;
  const made = table(rows);
  const held = (row: number): boolean => row % 4 === 0;
  const side = numbers(
    'side',
    Array.from({ length: rows }, (_, row) => (held(row) ? (row % 8 === 0 ? 1 : Number.NaN) : 0)),
  );
  const plan: Plan = { ...trees, split: { kind: 'custom', column: 'side' } };
  const model = await train(plan, [...made, side]);
  assert.deepEqual([model.report!.rows.learned, model.report!.rows.judged], [450, 150]);
  assert.ok(!model.encoders.some(({ column }) => column === 'side'));
  // With the held out rows' labels turned around the model is bit for bit the same, and its figures are not.
  const turned = texts(
    'y',
    (made[1]!.values as string[]).map((label, row) => (held(row) ? (label === 'yes' ? 'no' : 'yes') : label)),
  );
  const other = await train(plan, [made[0]!, turned, side]);
  assert.deepEqual(other.learned, model.learned);
  const accuracy = ({ report }: typeof model) => report!.scores.find(({ metric }) => metric === 'accuracy')!.value;
  assert.ok(Math.abs(accuracy(model) + accuracy(other) - 1) < 1e-9);
  const predicted = predict(model, made).columns[0]!.values as string[];
  const right = predicted.filter((label, row) => held(row) && label === (made[1]!.values as string[])[row]).length;
  assert.ok(Math.abs(right / 150 - accuracy(model)) < 1e-9);
});

test('TRAIN, EVAL and TEST: the trials are scored on EVAL, the report on TEST', async () => {
  const made = table(900);
  const side = texts(
    'side',
    Array.from({ length: 900 }, (_, row) => ['train', 'TRAIN', 'Eval', 'TEST'][row % 4]!),
  );
  const model = await train({ target: 'y', budget: { trials: 2 }, split: { kind: 'custom', column: 'side' } }, [...made, side]);
  assert.deepEqual([model.report!.rows.learned, model.report!.rows.judged], [675, 225]);
  const only = await train({ ...trees, split: { kind: 'custom', column: 'side' } }, [...made, side]);
  // Labels of EVAL say when trees stop; turned around they change what is chosen.
  const turned = texts(
    'y',
    (made[1]!.values as string[]).map((label, row) => (row % 4 === 2 ? (label === 'yes' ? 'no' : 'yes') : label)),
  );
  const other = await train({ ...trees, split: { kind: 'custom', column: 'side' } }, [made[0]!, turned, side]);
  assert.ok(other.report!.trials[0]!.score > only.report!.trials[0]!.score + 0.1);
});

test('a side without a class is told of, and no figure is none', async () => {
  const made = table(600);
  const labels = made[1]!.values as string[];
  const plan: Plan = { ...trees, split: { kind: 'custom', column: 'side' } };
  const told = async (side: (row: number) => number) => {
    const { report } = await train(plan, [
      ...made,
      numbers(
        'side',
        labels.map((_, row) => side(row)),
      ),
    ]);
    for (const { value, error } of report!.scores) assert.ok(Number.isFinite(value) && Number.isFinite(error));
    return report!.warnings.filter(({ kind }) => kind === 'imbalance').map(({ text }) => text.split(':')[0]);
  };
  assert.deepEqual(await told((row) => Number(labels[row] === 'yes' || row % 5 === 0)), ['No row that was learned from is "yes"']);
  assert.deepEqual(await told((row) => Number(labels[row] === 'yes' && row % 2 === 0)), ['No row that was held out is "no"']);
  assert.deepEqual(await told((row) => Number(row % 5 === 0)), []);
});

test('without a split all rows are learned from, and the report has no figure that could be taken for an honest one', async () => {
  const made = table(600);
  const { report } = await train({ ...trees, split: { kind: 'none' } }, made);
  const { rows, scores, rule, better, confusion, thresholds, importance, warnings, card } = report!;
  assert.deepEqual([rows.learned, rows.judged], [600, 0]);
  assert.deepEqual([scores, rule, better, confusion, thresholds, importance], [[], null, null, null, null, []]);
  assert.ok(warnings.some(({ kind }) => kind === 'not judged'));
  assert.ok(card.en.some((line) => line.includes('NOT known')) && card.ko.some((line) => line.includes('알 수 없습니다')));
  const numeric = await train({ target: 'x', learner: 'linear', split: { kind: 'none' } }, made);
  assert.deepEqual(numeric.report!.scores, []);
});

test('shares of one’s own: so many rows are judged, whatever the kind of split', async () => {
  const made = table(1000);
  const { report } = await train({ ...trees, split: { kind: 'stratified', judge: 0.3, choose: 0.1 } }, made);
  assert.ok(Math.abs(report!.rows.judged - 300) <= 2, String(report!.rows.judged));
  const decided = chooseSplit(trees, made, [], { classes: ['no', 'yes'] } as never);
  assert.equal(decided.kind, 'stratified');
});

const refused: [string, Plan['split'], ColumnData[]][] = [
  ['no column of sides', { kind: 'custom' }, []],
  ['a column that is not there', { kind: 'custom', column: 'side' }, []],
  ['a word that is no side', { kind: 'custom', column: 'side' }, [texts('side', new Array(200).fill('TRAINING'))]],
  ['nothing to judge by', { kind: 'custom', column: 'side' }, [numbers('side', new Array(200).fill(0))]],
  ['nothing to learn from', { kind: 'custom', column: 'side' }, [numbers('side', new Array(200).fill(1))]],
  ['a share of one', { kind: 'random', judge: 1 }, []],
  ['shares that leave nothing', { kind: 'random', judge: 0.6, choose: 0.5 }, []],
  ['a share without a split', { kind: 'none', judge: 0.2 }, []],
];
for (const [what, split, more] of refused) {
  test(`a split with ${what} is refused`, async () => {
    await assert.rejects(train({ ...trees, split: split! }, table(200, more)), { code: 'LEARN_PLAN' });
  });
}
