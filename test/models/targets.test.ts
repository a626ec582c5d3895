import assert from 'node:assert/strict';
import { test } from 'node:test';
import { targetsOf } from '../../src/platform/models/targets.ts';

test('rows as a query answers them say which columns could be predicted: not ids, times, lists and what Millrace adds', () => {
  const columns = [
    { name: 'id', type: 'BIGINT' },
    { name: 'spent', type: 'DECIMAL(10,2)' },
    { name: 'left', type: 'BOOLEAN' },
    { name: 'plan', type: `ENUM('a', 'b', 'c')` },
    { name: 'seen', type: 'TIMESTAMP WITH TIME ZONE' },
    { name: 'tags', type: 'VARCHAR[]' },
    { name: '_batch', type: 'BIGINT' },
  ];
  const rows = Array.from({ length: 90 }, (_, i) => [
    i === 3 ? null : i,
    `${(i * 37) % 71}.50`,
    i % 3 === 0,
    'abc'[i % 3],
    '2026-01-01T00:00:00Z',
    [],
    1,
  ]);
  assert.deepEqual(
    targetsOf(columns, rows).map(({ column, task }) => [column, task]),
    [
      ['left', 'classification'],
      ['plan', 'classification'],
      ['spent', 'regression'],
    ],
  );
  assert.deepEqual(targetsOf(columns, []), []);
});
