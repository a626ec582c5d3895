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
