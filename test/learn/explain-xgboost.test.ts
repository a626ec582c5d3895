import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addLeaf, type Forest, type ForestBuilder, finishForest, newForest, scoreRow } from '../../src/learn/trees/forest.ts';
import { expectedScores, shapAdder } from '../../src/learn/trees/shap.ts';

/*
 * cases/xgboost-shap.json was written by XGBoost 3.2.0:
 *   rng = np.random.default_rng(5)
 *   x = rng.integers(0, 9, (160, 4)).astype('float32'); x[rng.random(x.shape) < 0.1] = np.nan
 *   y = np.nan_to_num(x[:, 0], nan=4) * (np.nan_to_num(x[:, 1], nan=2) > 3) + np.nan_to_num(x[:, 2]) + rng.normal(size=160)
 *   m = xgb.train(dict(max_depth=4, eta=0.5, tree_method='hist', min_child_weight=1), xgb.DMatrix(x, y), 6)
 *   t = xgb.DMatrix(x[:30])
 *   trees: m.get_dump(with_stats=True, dump_format='json'); rows: x[:30]
 *   contributions: m.predict(t, pred_contribs=True); predictions: m.predict(t)
 */
interface Dumped {
  readonly nodeid: number;
  readonly cover: number;
  readonly leaf?: number;
  readonly split?: string;
  readonly split_condition?: number;
  readonly yes?: number;
  readonly missing?: number;
  readonly gain?: number;
  readonly children?: readonly Dumped[];
}

interface Case {
  readonly trees: readonly Dumped[];
  readonly rows: readonly (readonly (number | null)[])[];
  readonly contributions: readonly (readonly number[])[];
  readonly predictions: readonly number[];
}

/** XGBoost goes left where x < condition in single precision; the rows are whole numbers, so x ≤ condition - 2⁻¹⁰ says the same. */
function place(forest: ForestBuilder, node: number, of: Dumped): void {
  forest.cover[node] = of.cover;
  if (of.leaf !== undefined) {
    forest.threshold[node] = of.leaf;
    return;
  }
  const [yes, no] = of.children![0]!.nodeid === of.yes ? of.children! : [...of.children!].reverse();
  forest.feature[node] = Number(of.split!.slice(1));
  forest.threshold[node] = of.split_condition! - 2 ** -10;
  forest.missingLeft[node] = of.missing === of.yes ? 1 : 0;
  forest.left[node] = addLeaf(forest, 0, 0);
  addLeaf(forest, 0, 0);
  const left = forest.left[node]!;
  place(forest, left, yes!);
  place(forest, left + 1, no!);
}

function imported({ trees }: Case, base: number): Forest {
  const forest = newForest();
  for (const tree of trees) {
    forest.roots.push(addLeaf(forest, 0, 0));
    place(forest, forest.roots.at(-1)!, tree);
  }
  return finishForest(forest, Float64Array.of(base), new Uint8Array(4));
}

test("SHAP values of a model that XGBoost trained are XGBoost's own, missing values included", () => {
  const given = JSON.parse(readFileSync(join(import.meta.dirname, 'cases', 'xgboost-shap.json'), 'utf8')) as Case;
  const unbased = imported(given, 0);
  // XGBoost's last column is the expectation: the base score that the dump leaves out, and the cover-weighted leaves.
  const base = given.contributions[0]![4]! - expectedScores(unbased)[0]!;
  const forest = imported(given, base);
  given.rows.forEach((row, i) => {
    const values = Float64Array.from(row, (v) => v ?? Number.NaN);
    const shap = new Float64Array(4);
    shapAdder(forest)(values, shap);
    shap.forEach((value, f) => {
      assert.ok(Math.abs(value - given.contributions[i]![f]!) < 1e-4, `row ${i}, f${f}: ${value} against ${given.contributions[i]![f]}`);
    });
    const score = new Float64Array(1);
    scoreRow(forest, values, score);
    assert.ok(Math.abs(score[0]! - given.predictions[i]!) < 1e-4, `row ${i}: ${score[0]} against ${given.predictions[i]}`);
  });
});
