import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Figures, findings } from '../../web/data/checks.ts';

const column = (name: string, type: string, figures: Partial<Figures> = {}): Figures => ({
  column: { name, type },
  rows: 100,
  filled: 100,
  distinct: 50,
  least: 'a',
  most: 'z',
  numbers: 0,
  ...figures,
});
const today = '2026-06-01';
const of = (...columns: Figures[]) => findings(columns, today).map(({ kind, column: name, count }) => [name, kind, count]);

test('a table in order has nothing to say', () => {
  assert.deepEqual(
    of(column('name', 'VARCHAR'), column('day', 'DATE', { least: '2026-01-01', most: '2026-06-01' }), column('n', 'BIGINT')),
    [],
  );
});

test('what is empty, constant, repeated or out of time is named with its column', () => {
  assert.deepEqual(
    of(
      column('a', 'VARCHAR', { filled: 0, distinct: 0, least: null, most: null }),
      column('b', 'VARCHAR', { filled: 40 }),
      column('c', 'BIGINT', { distinct: 1 }),
      column('id', 'VARCHAR', { distinct: 98 }),
      column('price', 'VARCHAR', { numbers: 97, least: '0.5', most: '99' }),
      column('words', 'VARCHAR', { numbers: 60 }),
      column('day', 'DATE', { least: '1899-12-30', most: '2031-01-01' }),
    ),
    [
      ['a', 'empty', null],
      ['b', 'half_empty', 60],
      ['c', 'one_value', null],
      ['id', 'repeated_id', 2],
      ['price', 'numbers_as_text', 97],
      ['day', 'future', null],
      ['day', 'ancient', null],
    ],
  );
});

test('what only looks like it is not told: codes of digits, Millrace’s own columns, an id that names another table’s rows', () => {
  assert.deepEqual(
    of(
      column('zip_code', 'VARCHAR', { numbers: 100 }),
      column('visitor', 'VARCHAR', { numbers: 100, least: '0004915997121163857', most: '9997536057704001970' }),
      column('card', 'VARCHAR', { numbers: 100, least: '4000056655665556', most: '5555555555554444' }),
      column('_id', 'VARCHAR', { filled: 0, distinct: 0, least: null, most: null }),
      column('id', 'BIGINT', { distinct: 10 }),
    ),
    [],
  );
  assert.deepEqual(of(column('a', 'VARCHAR', { rows: 0, filled: 0 })), [[null, 'no_rows', null]]);
});
