import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { worth } from '#learn';
import { acting } from '../../src/learn/auto/money.ts';
import { calibrated, fitCalibration, foldCalibration, worthCalibrating } from '../../src/learn/calibrate.ts';
import type { Encoded } from '../../src/learn/encode.ts';
import { teach } from '../../src/learn/learners.ts';
import { linearDefaults } from '../../src/learn/linear/linear.ts';
import {
  averagePrecision,
  brier,
  calibration,
  calibrationError,
  isotonic,
  type Judged,
  miscalibration,
  ranking,
} from '../../src/learn/metrics.ts';
import type { Learned } from '../../src/learn/model.ts';
import { answerer } from '../../src/learn/predict.ts';
import { boostDefaults } from '../../src/learn/trees/settings.ts';
import { generator } from './data.ts';

const sigmoid = (s: number): number => 1 / (1 + Math.exp(-s));

/** Two classes: truths drawn by `honest(score)`, answers given as sigmoid(score). */
function drawn(rows: number, seed: number, honest: (score: number) => number): Judged {
  const next = generator(seed);
  const scores = Float64Array.from({ length: rows }, () => (next() - 0.5) * 6);
  return {
    truth: scores.map((s) => (next() < honest(s) ? 1 : 0)),
    weights: new Float64Array(rows).fill(1),
    answers: Float64Array.from({ length: rows * 2 }, (_, i) => (i % 2 === 1 ? sigmoid(scores[i >> 1]!) : 1 - sigmoid(scores[i >> 1]!))),
    width: 2,
  };
}

test('scores that were stretched and moved are brought back', () => {
  const judged = drawn(20_000, 7, (s) => sigmoid(0.5 * s - 1));
  const { slope, intercepts } = fitCalibration(judged);
  assert.ok(Math.abs(slope - 0.5) < 0.03, `slope ${slope}`);
  assert.ok(Math.abs(intercepts[0]! + 1) < 0.05, `intercept ${intercepts[0]}`);
  const before = calibrationError(calibration(judged));
  const after = calibrationError(calibration({ ...judged, answers: calibrated(judged, { slope, intercepts }) }));
  assert.ok(before > 0.15 && after < 0.02, `${before} → ${after}`);
});

test('a ranking that is upside down is not turned around: only the shares are told', () => {
  const { slope } = fitCalibration(drawn(2000, 11, (s) => sigmoid(-s)));
  assert.equal(slope, 0);
});

test('probabilities are calibrated where that pays, and mostly left alone where they are honest', () => {
  let kept = 0;
  for (let seed = 1; seed <= 20; seed++) {
    assert.notEqual(worthCalibrating(drawn(1000, seed * 101, (s) => sigmoid(0.4 * s))), null);
    if (worthCalibrating(drawn(1000, seed * 101, sigmoid)) === null) kept++;
  }
  assert.ok(kept >= 14, `${kept} of 20 left alone`);
  assert.equal(worthCalibrating(drawn(40, 3, (s) => sigmoid(0.1 * s))), null, 'too few rows to tell');
});

function taught(candidate: Parameters<typeof teach>[0], encoded: Encoded, targets: Float64Array, classes: number): Learned {
  const steps = teach(candidate, { encoded, targets, weights: targets.map(() => 1) }, null, classes);
  for (let step = steps.next(); ; step = steps.next()) if (step.done) return step.value.learned;
}

test('a calibration folded into trees or a linear model answers as one applied to the answers, for two classes and for three', () => {
  const next = generator(29);
  const values = Float64Array.from({ length: 400 }, () => next() * 4);
  const encoded: Encoded = {
    rows: 400,
    features: [{ name: 'x', column: 'x', kind: 'numeric', levels: 0, cycle: null, values }],
    texts: [],
  };
  for (const classes of [2, 3]) {
    const targets = values.map((v) => Math.min(classes - 1, Math.floor(v / (5 / classes) + next())));
    const loss = classes === 2 ? 'logistic' : 'softmax';
    const change = { slope: 0.7, intercepts: classes === 2 ? [0.3] : [0.3, -0.2, 0.1] };
    for (const learned of [
      taught({ name: 't', learner: 'trees', options: { ...boostDefaults, rounds: 10, loss } }, encoded, targets, classes),
      taught({ name: 'l', learner: 'linear', options: { ...linearDefaults, loss } }, encoded, targets, classes),
    ]) {
      assert.ok(learned.kind === 'trees' || learned.kind === 'linear');
      const answers = answerer(learned, classes)(encoded);
      const wanted = calibrated({ truth: targets, weights: targets.map(() => 1), answers, width: classes }, change);
      const found = answerer(foldCalibration(learned, change), classes)(encoded);
      found.forEach((p, i) => {
        assert.ok(Math.abs(p - wanted[i]!) < 1e-6, `${learned.kind} ${i}: ${p} against ${wanted[i]}`);
      });
    }
  }
});

const rowsOfTwo = fc.array(fc.record({ y: fc.integer({ min: 0, max: 1 }), p: fc.integer({ min: 0, max: 10 }) }), {
  minLength: 1,
  maxLength: 30,
});

function judgedOf(rows: readonly { y: number; p: number }[]): Judged {
  return {
    truth: Float64Array.from(rows, (r) => r.y),
    weights: new Float64Array(rows.length).fill(1),
    answers: Float64Array.from(rows.flatMap((r) => [1 - r.p / 10, r.p / 10])),
    width: 2,
  };
}

test('the isotonic fit is the max of mins of means (Robertson, Wright, Dykstra 1988)', () => {
  fc.assert(
    fc.property(rowsOfTwo, (rows) => {
      const steps = isotonic(judgedOf(rows));
      const levels = [...new Set(rows.map((r) => r.p))].sort((a, b) => a - b);
      const mean = (from: number, to: number): number => {
        const inside = rows.filter((r) => r.p >= levels[from]! && r.p <= levels[to]!);
        return inside.reduce((sum, r) => sum + r.y, 0) / inside.length;
      };
      levels.forEach((level, i) => {
        let best = Number.NEGATIVE_INFINITY;
        for (let a = 0; a <= i; a++) {
          let least = Number.POSITIVE_INFINITY;
          for (let b = i; b < levels.length; b++) least = Math.min(least, mean(a, b));
          best = Math.max(best, least);
        }
        const step = steps.find((s) => s.from <= level / 10 && level / 10 <= s.to)!;
        assert.ok(Math.abs(step.observed - best) < 1e-9, `${level}: ${step.observed} against ${best}`);
      });
    }),
  );
});

test('what recalibration could take away is never negative and never more than the Brier score', () => {
  fc.assert(
    fc.property(rowsOfTwo, (rows) => {
      const judged = judgedOf(rows);
      const part = miscalibration(judged);
      assert.ok(part >= -1e-12 && part <= brier(judged) + 1e-12);
    }),
  );
});

test('ranking and average precision are what counting gives', () => {
  fc.assert(
    fc.property(rowsOfTwo, (rows) => {
      const judged = judgedOf(rows);
      const positives = rows.filter((r) => r.y === 1).length;
      const points = ranking(judged);
      if (positives === 0 || positives === rows.length) {
        assert.deepEqual(points, []);
        return;
      }
      let area = 0;
      let before = 0;
      for (const level of [...new Set(rows.map((r) => r.p))].sort((a, b) => b - a)) {
        const taken = rows.filter((r) => r.p >= level);
        const hits = taken.filter((r) => r.y === 1).length;
        area += ((hits - before) / positives) * (hits / taken.length);
        before = hits;
        const point = points.find((p) => Math.abs(p.share - taken.length / rows.length) < 1e-9)!;
        assert.ok(Math.abs(point.precision - hits / taken.length) < 1e-9);
        assert.ok(Math.abs(point.recall - hits / positives) < 1e-9);
        assert.ok(Math.abs(point.falsePositiveRate - (taken.length - hits) / (rows.length - positives)) < 1e-9);
        assert.ok(Math.abs(point.lift - (hits / taken.length) * (rows.length / positives)) < 1e-9);
      }
      assert.ok(Math.abs(averagePrecision(judged) - area) < 1e-9);
    }),
  );
});

test('profit, the best way without the model and the error of the gain are what going through the rows gives', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ y: fc.integer({ min: 0, max: 1 }), p: fc.integer({ min: 0, max: 99 }), q: fc.integer({ min: 0, max: 99 }) }), {
        minLength: 2,
        maxLength: 40,
      }),
      fc.integer({ min: 1, max: 99 }),
      (rows, percent) => {
        const hit = 100;
        const model = judgedOf(rows.map(({ y, p }) => ({ y, p: p / 10 })));
        const ruled = judgedOf(rows.map(({ y, q }) => ({ y, p: q / 10 }))).answers;
        const found = worth(acting(model, ruled), { hit, contact: percent });
        const value = (row: { y: number }): number => row.y * hit - percent;
        const ways = {
          nobody: rows.map(() => 0),
          everyone: rows.map(value),
          rule: rows.map((row, i) => (ruled[i * 2 + 1]! >= percent / 100 ? value(row) : 0)),
        };
        const own = rows.map((row, i) => (model.answers[i * 2 + 1]! >= percent / 100 ? value(row) : 0));
        const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
        assert.equal(found.profit.model, sum(own));
        for (const way of ['nobody', 'everyone', 'rule'] as const) assert.equal(found.profit[way], sum(ways[way]));
        assert.equal(sum(ways[found.instead]), Math.max(...Object.values(ways).map(sum)));
        const differences = own.map((v, i) => v - ways[found.instead][i]!);
        const gain = sum(differences);
        const error = Math.sqrt(sum(differences.map((d) => (d - gain / rows.length) ** 2)));
        assert.ok(Math.abs(found.gain - gain) < 1e-9 && Math.abs(found.gainError - error) < 1e-6, `${found.gainError} against ${error}`);
      },
    ),
  );
});

test('a model that knows nothing does not pay, one that knows much does, and a contact that costs more than a hit never does', () => {
  const knowing = drawn(3000, 5, (s) => sigmoid(3 * s));
  const blind = { ...knowing, answers: knowing.answers.map(() => 0.5) };
  const rule = new Float64Array(6000).fill(0.5);
  assert.equal(worth(acting(knowing, rule), { hit: 10, contact: 3 }).pays, true);
  assert.equal(worth(acting(blind, rule), { hit: 10, contact: 3 }).pays, false);
  const dear = worth(acting(knowing, rule), { hit: 10, contact: 30 });
  assert.deepEqual([dear.pays, dear.instead, dear.profit.model], [false, 'nobody', 0]);
  // A hair dearer than a hit, on rows that are certain; and hits that bring nothing, whose report is read back from JSON.
  const certain = { ...knowing, answers: knowing.answers.map((_, at) => at % 2) };
  assert.equal(worth(acting(certain, rule), { hit: 1000, contact: 1001 }).profit.model, 0);
  for (const contact of [0, 5]) {
    const idle = worth(acting(certain, rule), { hit: 0, contact });
    assert.deepEqual([idle.pays, idle.instead, idle.profit.model, idle.gain, idle.threshold], [false, 'nobody', 0, 0, null]);
    assert.deepEqual(JSON.parse(JSON.stringify(idle)), idle);
  }
});
