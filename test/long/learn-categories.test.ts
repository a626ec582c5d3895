import assert from 'node:assert/strict';
import { test } from 'node:test';
import { predictor, train } from '#learn';
import { numbers, texts } from '../learn/data.ts';

test('a million different categories are learned from by their statistics, in one column', async () => {
  const rows = 1_100_000;
  const who = Array.from({ length: rows }, (_, i) => `user_${i % 1_000_000}`);
  const x = numbers(
    'x',
    Array.from({ length: rows }, (_, i) => i % 7),
  );
  const y = numbers(
    'y',
    Array.from({ length: rows }, (_, i) => (i % 7) + 0.5),
  );
  const model = await train({ target: 'y', learner: 'trees', trees: { rounds: 20 }, split: { kind: 'random' } }, [texts('who', who), x, y]);
  assert.ok(Math.abs(Number(predictor(model)({ who: 'nobody', x: 3 }).value) - 3.5) < 0.5);
  assert.ok(model.encoders.some((e) => e.column === 'who' && e.kind === 'statistics'));
});
