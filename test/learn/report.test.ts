import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ColumnData, train } from '#learn';
import { modelReport } from '../../src/cli/print/model.ts';
import { generator, numbers, texts } from './data.ts';

/** Labels that would clear the screen if a terminal read them. */
function table(): ColumnData[] {
  const next = generator(71);
  const x = Array.from({ length: 800 }, () => next());
  const z = x.map(() => next());
  return [
    numbers('x', x),
    numbers('z', z),
    texts(
      'y',
      x.map((v, i) => (v + z[i]! + next() / 4 > 1.1 ? '\u001b[2Jyes' : 'no')),
    ),
  ];
}

test('the printed report says in words and tables what the report holds, and lets no control character through', async () => {
  const { report } = await train({ target: 'y', budget: { trials: 2 }, money: { hit: 4, contact: 1 } }, table());
  const printed = modelReport(report!, 'en_US.UTF-8');
  for (const words of ['beats the best simple rule', 'The surest rows first', 'Brier score', 'everyone', report!.trials[1]!.candidate.name])
    assert.ok(printed.includes(words), words);
  assert.ok(printed.includes(report!.money!.profit.model.toLocaleString('en-US')));
  assert.doesNotMatch(printed, /\u001b/);
  assert.ok(modelReport(report!, 'ko_KR.UTF-8').includes('예측 확률은'));
});

test('the report of a model that was made before these parts existed is still printed', async () => {
  const { report } = await train({ target: 'y', budget: { trials: 1 } }, table());
  const { task, rows, split, warnings, metric, trials, scores, rule, better, importance, confusion, stopped } = report!;
  const early = trials.map(({ candidate, score, trainMillis, share }) => ({ candidate, score, trainMillis, share }));
  const old = { task, rows, split, warnings, metric, trials: early, scores, rule, better, importance, confusion, stopped };
  assert.ok(modelReport(old, 'en').includes('The best simple rule'));
});

/** Answers as a report holds them, made by hand: of two classes, what the second one gets. */
const dependent = (column: string, of: readonly (readonly [number | string | null, number])[]) => ({
  column,
  points: of.map(([value, answer]) => ({ value, answers: [1 - answer, answer] })),
});

test('the printed report tells calibration, false alarms and partial dependence; marks of all columns are on one scale', async () => {
  const { report } = await train({ target: 'y', budget: { trials: 1 } }, table());
  const made = {
    ...report!,
    calibration: [
      { rows: 300, predicted: 0.04, observed: 0.05 },
      { rows: 12, predicted: 0.97, observed: 0.75 },
    ],
    ranking: [
      { share: 0.1, precision: 0.8, recall: 0.4, falsePositiveRate: 0.025, lift: 4 },
      { share: 1, precision: 0.2, recall: 1, falsePositiveRate: 1, lift: 1 },
    ],
    dependence: [
      dependent('months', [
        [0, 0.8],
        [12, 0.5],
        [72, 0.1],
        [null, 0.3],
      ]),
      dependent('plan', [
        ['basic', 0.4],
        ['all\u001b[2J', 0.5],
      ]),
    ],
  };
  const printed = modelReport(made, 'en', { target: 'left', classes: ['no', 'yes'] });
  const line = (start: string) =>
    printed
      .split('\n')
      .find((each) => each.startsWith(start))!
      .split(/ {2,}/);
  assert.deepEqual(line('4.0 %'), ['4.0 %', '5.0 %', '300']);
  assert.deepEqual(line('97 %'), ['97 %', '75 %', '12']);
  assert.deepEqual(line('10 %'), ['10 %', '40 %', '2.5 %', '80 %', '4.00']);
  assert.ok(printed.includes('The mean prediction of left = yes if all rows had a value'));
  // Of eight marks from 10 % to 80 % each is ten points: 80, 50, 10 are the eighth, the fifth and the first.
  assert.deepEqual(line('months'), ['months', '█▅▁', '10 % at 72', '80 % at 0']);
  assert.deepEqual(line('plan').slice(0, 3), ['plan', '▄▅', '40 % at basic']);
  assert.doesNotMatch(printed, /\u001b/);
});
