import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ColumnData, columnPredictor, type Plan, train } from '#learn';
import { generator, numbers, texts } from './data.ts';

/** One row in twenty is a "yes", somewhat likelier where x is large. */
function rare(rows: number, seed: number): ColumnData[] {
  const next = generator(seed);
  const x = Array.from({ length: rows }, () => next());
  const z = Array.from({ length: rows }, () => ['a', 'b', 'c'][Math.floor(next() * 3)]!);
  const y = x.map((v) => (next() < 0.12 * v * v ? 'yes' : 'no'));
  return [numbers('x', x), texts('z', z), texts('y', y)];
}

for (const learner of ['trees', 'linear', 'bayes'] as const) {
  test(`${learner}: a class that weighs 3 is learned as if each of its rows weighed 3`, async () => {
    const table = rare(900, 3);
    const weights = numbers(
      'w',
      (table[2]!.values as string[]).map((label) => (label === 'yes' ? 3 : 1)),
    );
    const plan: Plan = { target: 'y', learner, seed: 5, trees: { rounds: 20 } };
    const byClass = await train({ ...plan, classWeights: { yes: 3 } }, table);
    const byRow = await train({ ...plan, weight: 'w' }, [...table, weights]);
    assert.deepEqual(byClass.learned, byRow.learned);
    const none = await train(plan, table);
    assert.notDeepEqual(byClass.learned, none.learned);
  });
}

for (const [what, target, learner] of [
  ['classes', 'y', 'auto'],
  ['classes', 'y', 'trees'],
  ['classes', 'y', 'linear'],
  ['classes', 'y', 'bayes'],
  ['numbers', 'x', 'auto'],
] as const)
  test(`${learner}, ${what}: a row that weighs 0 is as if it were not there, on either side of the split`, async () => {
    const table = rare(900, 7);
    const when = numbers(
      'when',
      Array.from({ length: 900 }, (_, i) => i * 1000),
    );
    const plan: Plan = { target, learner, seed: 5, budget: { trials: 3 }, split: { kind: 'time', column: 'when' }, ignore: ['when'] };
    for (const counts of [(i: number) => i >= 720, (i: number) => i < 720, (i: number) => i % 3 === 0]) {
      const weight = numbers(
        'w',
        Array.from({ length: 900 }, (_, i) => Number(counts(i))),
      );
      const weighed = await train({ ...plan, weight: 'w' }, [...table, when, weight]);
      const without = [...table, when].map(
        (column) => ({ ...column, values: column.values.filter((_: unknown, i: number) => counts(i)) }) as ColumnData,
      );
      const fewer = await train(plan, without);
      assert.equal(weighed.hash, fewer.hash);
      assert.deepEqual(weighed.report!.scores, fewer.report!.scores);
      assert.match(weighed.report!.warnings.map(({ text }) => text).join(), /a weight of 0/);
    }
  });

test('balanced classes are both found where the rare one never was; the counts stay those of real rows, and the report says what weighs', async () => {
  const table = rare(4000, 7);
  const plan: Plan = { target: 'y', learner: 'trees', trees: { rounds: 60, maxLeaves: 8 } };
  const recall = async (more: Partial<Plan>) => {
    const report = (await train({ ...plan, ...more }, table)).report!;
    const [, yes] = report.confusion!;
    assert.equal(
      report.confusion!.flat().reduce((sum, n) => sum + n, 0),
      report.rows.judged,
    );
    return { recall: yes![1]! / (yes![0]! + yes![1]!), told: report.warnings.some(({ kind }) => kind === 'class weights') };
  };
  const plain = await recall({});
  const balanced = await recall({ classWeights: 'balanced' });
  assert.ok(plain.recall < 0.1 && balanced.recall > 0.5, `${plain.recall} and ${balanced.recall}`);
  assert.deepEqual([plain.told, balanced.told], [false, true]);
});

test('the log-loss of a model with class weights is that of real rows', async () => {
  const table = rare(3000, 11);
  const given = await train({ target: 'y', learner: 'linear', classWeights: 'balanced', split: { kind: 'custom', column: 'side' } }, [
    ...table,
    numbers('side', table[0]!.values.map((_, row) => Number(row % 3 === 0)) as number[]),
  ]);
  const answers = columnPredictor(given)(table);
  const losses = (table[2]!.values as string[]).flatMap((label, row) =>
    row % 3 === 0 ? [-Math.log(answers[row * 2 + given.classes!.indexOf(label)]!)] : [],
  );
  const logLoss = given.report!.scores.find(({ metric }) => metric === 'logLoss')!.value;
  assert.ok(Math.abs(logLoss - losses.reduce((sum, loss) => sum + loss / losses.length, 0)) < 1e-9);
  assert.ok(given.report!.rule!.text.includes('classes weighed'));
});

const refused: [string, Partial<Plan>][] = [
  ['an unknown class', { classWeights: { maybe: 2 } }],
  ['a weight of 0', { classWeights: { yes: 0 } }],
  ['a weight that is no number', { classWeights: { yes: '3' as unknown as number } }],
  ['an unknown word', { classWeights: 'fair' as 'balanced' }],
  ['money, which needs honest probabilities', { classWeights: 'balanced', money: { hit: 5, contact: 1 } }],
  ['numbers to predict', { classWeights: 'balanced', target: 'x' }],
];
for (const [what, plan] of refused) {
  test(`class weights with ${what} are refused`, async () => {
    await assert.rejects(train({ target: 'y', ...plan }, rare(200, 9)), { code: 'LEARN_PLAN' });
  });
}

test('what a category says of the answer counts its rows as they weigh, beside ten rows of the usual weight that say what all say', async () => {
  const next = generator(17);
  const [levels, each] = [300, 10];
  const level = Array.from({ length: levels * each }, (_, i) => i % levels);
  // One row in ten counts as four times the other nine: they alone follow from the level's parity, and the others say the contrary.
  const heavy = level.map((_, i) => i < levels);
  const y = level.map((l, i) => ((l % 2 === 0) === heavy[i]! ? 1 : 0));
  const columns = [
    texts(
      'seller',
      level.map((l) => `s${l}`),
    ),
    numbers(
      'noise',
      level.map(() => next()),
    ),
    numbers(
      'w',
      heavy.map((is) => (is ? 36 : 1)),
    ),
    numbers('y', y),
  ];
  const plan: Plan = { target: 'y', task: 'regression', learner: 'trees', trees: { rounds: 30 }, split: { kind: 'none' } };
  const { encoders } = await train({ ...plan, weight: 'w' }, columns);
  const found = encoders.find(({ column }) => column === 'seller')!;
  assert.ok(found.kind === 'statistics');
  const means = new Float64Array(Uint8Array.from(Buffer.from(found.means, 'base64')).buffer);
  // Rows weigh (36 + 9) / 10 = 4.5 on average: a level's heavy row counts as 8, its others as 2 together.
  found.levels.forEach((name, code) => {
    const expected = ((Number(name.slice(1)) % 2 === 0 ? 8 : 2) + 10 * 0.5) / (10 + 10);
    assert.ok(Math.abs(means[code]! - expected) < 1e-12, `${name}: ${means[code]} and not ${expected}`);
  });
});
