import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MillraceError } from '#core';
import { parseTransfer } from '#workspace';
import { since } from '../../src/transfer/cursor.ts';

const parse = (text: string) => parseTransfer('shop', text, 'transfers/shop.yaml');

test('a whole definition is read as it is meant', () => {
  const { source, connection, tables } = parse(`
source: mysql
connection: { host: db, port: 3307, user: "007", password: { env: PW }, tls: true }
tables:
  Orders:
    target: shop.orders
    mode: merge
    key: [id, line]
    cursor: updated_at
    lookback: 10m
    drift: freeze
    types: { id: varchar, price: "decimal(12, 2)" }
  items: { target: shop.items }
`);
  assert.equal(source, 'mysql');
  assert.deepEqual(connection, { host: 'db', port: 3307, user: '007', password: { env: 'PW' }, tls: true });
  assert.deepEqual(tables, [
    {
      source: 'Orders',
      target: 'shop.orders',
      mode: 'merge',
      key: ['id', 'line'],
      cursor: 'updated_at',
      lookback: { millis: 600_000 },
      drift: 'freeze',
      types: { id: 'VARCHAR', price: 'DECIMAL(12,2)' },
    },
    { source: 'items', target: 'shop.items', mode: 'full', key: [], cursor: null, lookback: null, drift: 'evolve', types: {} },
  ]);
});

const WRONG: readonly (readonly [name: string, text: string, says: RegExp])[] = [
  ['no source', 'tables: { a: { target: s.a } }', /"source" is missing/],
  ['no tables', 'source: csv', /names no table/],
  ['an unknown option', 'source: csv\ntables: { a: { target: s.a, cursr: id } }', /"cursor" is near/],
  ['no target', 'source: csv\ntables: { a: { mode: full } }', /target" is missing/],
  ['a target in capitals', 'source: csv\ntables: { a: { target: S.A } }', /target" can't be "S\.A"; use schema\.name in lower case/],
  ['one target twice', 'source: csv\ntables: { a: { target: s.a }, b: { target: s.a } }', /the target of two tables/],
  ['a cursor of a full table', 'source: csv\ntables: { a: { target: s.a, cursor: id } }', /takes no cursor/],
  ['a lookback without merge', 'source: csv\ntables: { a: { target: s.a, mode: append, cursor: id, lookback: 5 } }', /only mode merge/],
  [
    'a lookback that is no time',
    'source: csv\ntables: { a: { target: s.a, mode: merge, cursor: id, lookback: soon } }',
    /neither a duration/,
  ],
  ['a type that is none', 'source: csv\ntables: { a: { target: s.a, types: { x: MONEY } } }', /no type for a column/],
  [
    'a reference to two places',
    'source: csv\nconnection: { p: { env: A, file: b } }\ntables: { a: { target: s.a } }',
    /needs either env or file/,
  ],
  ['a list as a value', 'source: csv\nconnection: { p: [1] }\ntables: { a: { target: s.a } }', /must be a value/],
];

for (const [name, text, says] of WRONG) {
  test(`${name} is refused with its line`, () => {
    assert.throws(
      () => parse(text),
      (error: MillraceError) => error.code === 'DEFINITION_INVALID' && says.test(error.message) && typeof error.params['line'] === 'number',
    );
  });
}

test('a lookback is subtracted in the cursor’s own units, beyond what a double holds', () => {
  assert.equal(since('9007199254740993', { units: 1 }), '9007199254740992');
  assert.equal(since('0.05', { units: 1 }), '-0.95');
  assert.equal(since('-1', { units: 1 }), '-2');
  assert.equal(since('2024-03-01 00:00:00.123456', { millis: 1_000 }), '2024-02-29 23:59:59.123456');
  assert.equal(since('2024-01-01', { millis: 86_400_000 }), '2023-12-31 00:00:00.000');
  assert.equal(since('7', null), '7');
});
