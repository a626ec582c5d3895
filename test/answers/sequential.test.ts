import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { widthOf } from '../../src/analyze/answers/experiment.ts';

const [ALPHA, PLANNED, VISITORS, EVERY, RUNS] = [0.05, 2000, 6000, 100, 600];

test('looking again and again, the always-valid interval leaves nothing out where there is nothing, and the fixed one does', async () => {
  const engine = await DuckDBInstance.create(':memory:');
  const connection = await engine.connect();
  const width = widthOf('false', 'n', String(ALPHA), '1.959963984540054', ALPHA, PLANNED);
  const looks = (
    await connection.runAndReadAll(`SELECT n, ${width} AS width FROM range(${2 * EVERY}, ${VISITORS + 1}, ${EVERY}) AS r(n)`)
  ).getRows();
  connection.closeSync();
  engine.closeSync();
  const widths = new Map(looks.map(([n, value]) => [Number(n), Number(value)]));
  assert.ok([...widths.values()].every((value) => value > 1.96));

  let state = 5;
  const uniform = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  let [always, fixed] = [0, 0];
  for (let run = 0; run < RUNS; run++) {
    // Money as shops have it: one visitor in five buys, for an exponential amount.
    const arms = [0, 1].map(() => ({ n: 0, sum: 0, squares: 0 }));
    let [outOfAlways, outOfFixed] = [false, false];
    for (let n = 1; n <= VISITORS; n++) {
      const value = uniform() < 0.2 ? -Math.log(uniform()) : 0;
      const arm = arms[n % 2]!;
      arm.n++;
      arm.sum += value;
      arm.squares += value * value;
      const bound = widths.get(n);
      if (bound === undefined) continue;
      const error = Math.sqrt(arms.reduce((sum, each) => sum + (each.squares - each.sum ** 2 / each.n) / (each.n - 1) / each.n, 0));
      const off = Math.abs(arms[0]!.sum / arms[0]!.n - arms[1]!.sum / arms[1]!.n) / error;
      outOfAlways ||= off > bound;
      outOfFixed ||= off > 1.96;
    }
    always += Number(outOfAlways);
    fixed += Number(outOfFixed);
  }
  // Four Monte Carlo errors above what is allowed.
  assert.ok(always / RUNS <= ALPHA + 4 * Math.sqrt((ALPHA * (1 - ALPHA)) / RUNS), `${always} of ${RUNS}`);
  assert.ok(fixed / RUNS > 4 * ALPHA, `the fixed interval: ${fixed} of ${RUNS}`);
});
