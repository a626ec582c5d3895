import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ColumnData, type Plan, type Report, train } from '#learn';
import { generator, numbers, texts } from './data.ts';

const DAY = 86_400_000;
const START = Date.UTC(2026, 0, 1);
const times = (name: string, values: readonly number[]): ColumnData => ({ name, kind: 'time', values: Float64Array.from(values) });
const late = (report: Report): (string | null)[] =>
  report.warnings.filter(({ kind, text }) => kind === 'leakage' && !text.includes('alone')).map(({ column }) => column);

/** Orders: the label comes ten days after the order; what is written when goods come back comes a day after the label. */
function orders(rows: number, skewed = 0): ColumnData[] {
  const next = generator(13);
  const ordered = Array.from({ length: rows }, (_, i) => START + Math.floor(i * 0.05) * DAY);
  const back = ordered.map(() => next() < 0.3);
  const labelled = ordered.map((at) => at + 10 * DAY);
  return [
    numbers(
      'amount',
      ordered.map(() => next() * 100),
    ),
    times(
      'amount_received',
      ordered.map((at, i) => (i < skewed ? at + 12 * DAY : at)),
    ),
    texts(
      'reason',
      back.map((b) => (b && next() < 0.5 ? ['size', 'colour'][Math.floor(next() * 2)]! : null)),
    ),
    times(
      'reason_received',
      labelled.map((at, i) => (back[i] ? at + DAY : Number.NaN)),
    ),
    times(
      'delivered',
      ordered.map((at) => at + 2 * DAY),
    ),
    texts(
      'plan',
      ordered.map(() => (next() < 0.5 ? 'basic' : 'gold')),
    ),
    texts(
      'returned',
      back.map((b) => (next() < 0.05 ? !b : b)).map((b) => (b ? 'yes' : 'no')),
    ),
    times('returned_received', labelled),
  ];
}

const plan: Plan = { target: 'returned', learner: 'trees', trees: { rounds: 10 }, split: { kind: 'random' } };

test('a column that came after its label is flagged by its arrival, though it tells little; stamps are not learned from', async () => {
  const table = orders(800);
  const { report, encoders } = await train(plan, table);
  assert.deepEqual(late(report!), ['reason']);
  assert.deepEqual(
    encoders.map(({ column }) => column).filter((name) => name.endsWith('_received')),
    [],
  );
  const dropped = report!.warnings.filter(({ kind }) => kind === 'dropped').map(({ column }) => column);
  for (const stamp of ['amount_received', 'reason_received', 'returned_received']) assert.ok(dropped.includes(stamp), stamp);
});

test('what is only filled where a late column is, came with it', async () => {
  const table = orders(800);
  const reason = table[2]!.values as readonly (string | null)[];
  const size = numbers(
    'refund',
    reason.map((value, i) => (value === null ? Number.NaN : i % 7)),
  );
  const { report } = await train(plan, [size, ...table]);
  assert.deepEqual(late(report!).sort(), ['reason', 'refund']);
});

test('a moment before the label is held to: a time after it is told of, one before it is not', async () => {
  const table = orders(800).filter(({ name }) => name !== 'returned_received');
  const ordered = { ...table[1]!, name: 'ordered' };
  assert.deepEqual(late((await train(plan, [...table, ordered])).report!), [], 'nothing says when the answer has to be given');
  const { report } = await train({ ...plan, moment: 'ordered' }, [...table, ordered]);
  assert.deepEqual(late(report!).sort(), ['delivered', 'reason']);
});

test('a clock that is wrong in a few rows flags nothing', async () => {
  assert.ok(!late((await train(plan, orders(800, 6))).report!).includes('amount'));
  assert.ok(late((await train(plan, orders(800, 20))).report!).includes('amount'));
});

test('a moment that is no time is refused', async () => {
  for (const moment of ['amount', 'nothing', 'plan']) await assert.rejects(train({ ...plan, moment }, orders(100)), { code: 'LEARN_PLAN' });
});
