import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { train } from '#learn';
import type { Encoded } from '../../src/learn/encode.ts';
import { fitLinear, type Linear, type LinearOptions, linearDefaults, linearLoss, linearScorer } from '../../src/learn/linear/linear.ts';
import { ngrams } from '../../src/learn/linear/text.ts';
import { generator, texts } from './data.ts';

function encodedOf(columns: readonly (readonly number[])[]): Encoded {
  const features = columns.map((values, f) => ({
    name: `x${f}`,
    column: `x${f}`,
    kind: 'numeric' as const,
    levels: 0,
    cycle: null,
    values: Float64Array.from(values),
  }));
  return { rows: columns[0]!.length, features, texts: [] };
}

function fit(encoded: Encoded, targets: readonly number[], classes: number, options: Partial<LinearOptions>): Linear {
  const rows = { encoded, targets: Float64Array.from(targets), weights: new Float64Array(targets.length).fill(1) };
  const steps = fitLinear(rows, classes, { ...linearDefaults, iterations: 500, ...options });
  for (let step = steps.next(); ; step = steps.next()) if (step.done) return step.value;
}

/** Solves a·x = b by elimination with pivoting. */
function solve(a: number[][], b: number[]): number[] {
  const n = b.length;
  const m = a.map((row, i) => [...row, b[i]!]);
  for (let c = 0; c < n; c++) {
    const pivot = m.slice(c).reduce((best, row, i) => (Math.abs(row[c]!) > Math.abs(m[best]![c]!) ? i + c : best), c);
    [m[c], m[pivot]] = [m[pivot]!, m[c]!];
    for (let r = 0; r < n; r++) {
      if (r === c) continue;
      const factor = m[r]![c]! / m[c]![c]!;
      for (let k = c; k <= n; k++) m[r]![k]! -= factor * m[c]![k]!;
    }
  }
  return m.map((row, i) => row[n]! / row[i]!);
}

function standardised(values: readonly number[]): number[] {
  const mean = values.reduce((s, v) => s + v, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((s, v) => s + (v - mean) ** 2, 0) / values.length);
  return values.map((v) => (v - mean) / deviation);
}

const next = generator(41);
const columns = [0, 1, 2, 3].map((f) => Array.from({ length: 300 }, () => (next() - 0.5) * 10 ** f));
const signal = columns[0]!.map((_, i) => 3 * columns[0]![i]! - 0.2 * columns[1]![i]! + next());

test('ridge regression equals the normal equations on standardised columns', () => {
  const z = columns.map(standardised);
  const y = standardised(signal);
  const gram = z.map((a, i) => z.map((b, j) => a.reduce((s, v, r) => s + v * b[r]!, 0) + (i === j ? 5 : 0)));
  const exact = solve(
    gram,
    z.map((a) => a.reduce((s, v, r) => s + v * y[r]!, 0)),
  );
  const model = fit(encodedOf(columns), signal, 1, { l2: 5 });
  const mean = signal.reduce((s, v) => s + v, 0) / signal.length;
  const deviation = Math.sqrt(signal.reduce((s, v) => s + (v - mean) ** 2, 0) / signal.length);
  exact.forEach((w, i) => {
    assert.ok(Math.abs(model.weights[i]! - w * deviation) < 2e-3, `${model.weights[i]} against ${w * deviation}`);
  });
});

test('the gradient of every loss is its numeric derivative', () => {
  const starts = Uint32Array.of(0, 2, 3, 5);
  const table = { rows: 3, width: 3, starts, columns: Uint32Array.of(0, 1, 2, 0, 2), values: Float64Array.of(1, -2, 0.5, 3, 1) };
  const weights = Float64Array.of(1, 2, 0.5);
  for (const [loss, outputs, targets] of [
    ['squared', 1, [1, -2, 0.3]],
    ['logistic', 1, [1, 0, 1]],
    ['softmax', 3, [2, 0, 1]],
  ] as const) {
    const at = Float64Array.from({ length: 3 * outputs + outputs }, (_, i) => 0.3 * Math.sin(i + 1));
    const gradient = new Float64Array(at.length);
    const valueAt = (x: Float64Array): number =>
      linearLoss(table, Float64Array.from(targets), weights, outputs, loss, x, new Float64Array(x.length), 0.1);
    linearLoss(table, Float64Array.from(targets), weights, outputs, loss, at, gradient, 0.1);
    at.forEach((_, i) => {
      const moved = (step: number): Float64Array => at.map((v, k) => (k === i ? v + step : v));
      const slope = (valueAt(moved(1e-5)) - valueAt(moved(-1e-5))) / 2e-5;
      assert.ok(Math.abs(gradient[i]! - slope) < 1e-8, `${loss} ${i}: ${gradient[i]} against ${slope}`);
    });
  }
});

test('a strong L1 penalty leaves only the columns that matter, a stronger one none', () => {
  const some = fit(encodedOf(columns), signal, 1, { l1: 60, l2: 0 });
  assert.notEqual(some.weights[0], 0);
  assert.deepEqual([some.weights[2], some.weights[3]], [0, 0]);
  const none = fit(encodedOf(columns), signal, 1, { l1: 1e4, l2: 0 });
  assert.deepEqual([...none.weights], [0, 0, 0, 0]);
});

test('logistic and softmax agree on two classes', () => {
  const labels = signal.map((v) => (v > 0 ? 1 : 0));
  const encoded = encodedOf(columns);
  const one = linearScorer(fit(encoded, labels, 2, { loss: 'logistic', l2: 1 }))(encoded);
  // Softmax splits a weight into halves of opposite sign, so the same penalty on the difference is twice that on each.
  const two = linearScorer(fit(encoded, labels, 2, { loss: 'softmax', l2: 2 }))(encoded);
  for (let i = 0; i < 300; i++) assert.ok(Math.abs(one[i]! - (two[i * 2 + 1]! - two[i * 2]!)) < 0.05 * (1 + Math.abs(one[i]!)));
});

test('composed and decomposed Hangul, upper and lower case are the same text', () => {
  assert.deepEqual(ngrams('안녕하세요'.normalize('NFD')), ngrams('안녕하세요'.normalize('NFC')));
  assert.deepEqual(ngrams('Hello  World'), ngrams('hello world'));
  assert.notDeepEqual(ngrams('안녕'), ngrams('안냥'));
});

test('a text of a megabyte is read in part and an empty one is no text', () => {
  assert.deepEqual(ngrams('').words, []);
  assert.ok(ngrams('가나다 '.repeat(300_000)).characters.length < 100_000);
});

test('of the tables of words one is held at a time: those of the search go when the chosen models learn', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const next = generator(3);
  const syllable = () => 'kstpmn'[Math.floor(next() * 6)]! + 'aeiou'[Math.floor(next() * 5)]!;
  const notes = Array.from({ length: 5000 }, () => Array.from({ length: 12 }, () => syllable() + syllable()).join(' '));
  const held = new Map<string, number>();
  const measure = ({ trying }: { trying: string }) => {
    if (held.has(trying)) return;
    collect();
    held.set(trying, process.memoryUsage().arrayBuffers);
  };
  collect();
  const before = process.memoryUsage().arrayBuffers;
  await train(
    { target: 'y', learner: 'linear', linear: { iterations: 3 } },
    [
      texts('note', notes),
      texts(
        'y',
        notes.map((note) => (note.includes('ka') ? 'yes' : 'no')),
      ),
    ],
    measure,
  );
  const [first, , last] = [...held.values()].map((bytes) => bytes - before);
  assert.deepEqual([...held.keys()].slice(1), ['the chosen models on the rows tried with', 'the chosen models on all rows']);
  // All rows are some two times those of a trial; with the tables before it would be seven times as much.
  assert.ok(last! < first! * 3, `${first} bytes while it was tried, ${last} bytes while all rows were learned from`);
});
