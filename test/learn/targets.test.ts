import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ColumnData, targetCandidates, train } from '#learn';
import { numbers, readTable, texts, withoutData } from './data.ts';

const count = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

test('columns that could be predicted are named, the likeliest first; ids, constants, texts and empties are not', () => {
  const table: ColumnData[] = [
    numbers('order_id', count(200)),
    numbers(
      'age',
      count(200).map((i) => (i * 37) % 61),
    ),
    texts(
      'note',
      count(200).map((i) => `a note about thing ${i}`),
    ),
    texts(
      'bought',
      count(200).map((i) => (i % 3 === 0 ? 'yes' : 'no')),
    ),
    numbers(
      'same',
      count(200).map(() => 4),
    ),
    texts(
      'city',
      count(200).map((i) => `city ${i % 40}`),
    ),
    texts(
      'size',
      count(200).map((i) => 'SML'[i % 3]!),
    ),
  ];
  assert.deepEqual(
    targetCandidates(table).map(({ column, task }) => [column, task]),
    [
      ['bought', 'classification'],
      ['size', 'classification'],
      ['age', 'regression'],
    ],
  );
});

test('a target that is not in the table is answered with what could be meant', async () => {
  const table = [
    numbers('x', count(60)),
    texts(
      'churned',
      count(60).map((i) => (i % 2 === 0 ? 'a' : 'b')),
    ),
  ];
  await assert.rejects(train({ target: 'Churn' }, table), (thrown: { code: string; message: string }) => {
    assert.equal(thrown.code, 'LEARN_TARGET');
    return thrown.message.includes('"churned" (two values)');
  });
});

test('few whole numbers that a table keeps as text are labels; many, or with a fraction, are numbers in text', async () => {
  const rows = count(140);
  const x = numbers(
    'x',
    rows.map((i) => i % 7),
  );
  const told = async (values: readonly string[]) => {
    const table = [x, texts('y', values)];
    const { task, classes } = await train({ target: 'y', learner: 'trees', trees: { rounds: 3 } }, table);
    assert.equal(targetCandidates(table).find(({ column }) => column === 'y')?.task, task);
    return [task, classes];
  };
  assert.deepEqual(await told(rows.map((i) => String(i % 7))), ['classification', ['0', '1', '2', '3', '4', '5', '6']]);
  assert.deepEqual(await told(rows.map((i) => String(i % 70))), ['regression', null]);
  assert.deepEqual(await told(rows.map((i) => `${i % 7}.5`)), ['regression', null]);
  const asked = await train({ target: 'y', task: 'regression', learner: 'linear' }, [
    x,
    texts(
      'y',
      rows.map((i) => String(i % 7)),
    ),
  ]);
  assert.equal(asked.task, 'regression');
});

test('real tables: what their makers predict stands first', { skip: withoutData }, () => {
  const first = (columns: ColumnData[]): string => targetCandidates(columns)[0]!.column;
  assert.equal(first(readTable('telco-churn/Telco-Customer-Churn.csv.gz', ',', null)), 'Churn');
  assert.equal(first(readTable('german-credit/german.data', /[ \t]+/, null)), 'class');
  assert.equal(first(readTable('bike-sharing/hour.csv.gz', ',', null)), 'cnt');
});
