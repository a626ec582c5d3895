import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ColumnData, explain, train } from '#learn';
import { explained } from '../../src/analyze/models/explained.ts';

const rows = Array.from({ length: 300 }, (_, i) => i);
const columns: ColumnData[] = [
  { name: 'a', kind: 'number', values: Float64Array.from(rows, (i) => (i * 7919) % 100) },
  { name: 'kind', kind: 'text', values: rows.map((i) => (i % 23 === 0 ? null : ['x', 'y', 'z'][i % 3]!)) },
];
const target: ColumnData = { name: 'y', kind: 'text', values: rows.map((i) => ['p', 'q', 'r'][(((i * 7919) % 100) + (i % 3) * 20) % 3]!) };

test('rows that are explained a few at a time are explained as all at once, and a slow model lets others run after each row', async () => {
  const model = await train({ target: 'y', learner: 'trees', trees: { rounds: 5 } }, [...columns, target]);
  const whole = explain(model, columns);
  for (const millisEach of [0, 5, 1000]) {
    let [clock, pauses] = [0, 0];
    const told = await explained(
      model,
      columns,
      async () => void pauses++,
      () => (clock += millisEach),
    );
    assert.deepEqual(told, whole);
    if (millisEach === 1000) assert.equal(pauses, rows.length - 1);
    if (millisEach === 0) assert.ok(pauses < 5, String(pauses));
  }
  const stop = new Error('cancelled');
  await assert.rejects(
    explained(
      model,
      columns,
      async () => Promise.reject(stop),
      () => 0,
    ),
    stop,
  );
  assert.deepEqual(
    (
      await explained(model, columns.map((column) => ({ ...column, values: column.values.slice(0, 0) })) as ColumnData[], async () => {})
    ).map(({ of }) => of),
    whole.map(({ of }) => of),
  );
});
