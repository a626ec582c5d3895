import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ColumnData, type Report, train } from '#learn';
import { isEntity } from '../../src/learn/auto/entity.ts';
import { readColumn } from '../../src/learn/read.ts';
import { generator, numbers, readTable, score, slice, texts, withoutData } from './data.ts';

const count = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const dropped = (report: Report): (string | null)[] => report.warnings.filter(({ kind }) => kind === 'dropped').map(({ column }) => column);

/** A column of 500 rows with 50 values. */
const named = (name: string): ColumnData =>
  texts(
    name,
    count(500).map((i) => `v${(i * 7) % 50}`),
  );
const entity = (column: ColumnData, time: ColumnData | null = null): boolean => isEntity(column, readColumn(column), { target: 'y' }, time);

for (const name of [
  ...[
    'user_id',
    'userId',
    'USER ID',
    'customerID',
    'CustomerKey',
    'customer',
    'session_id',
    'ga_session_id',
    'user_pseudo_id',
    'device_id',
  ],
  ...[
    'household',
    'member_no',
    'order_id',
    'anonymous_id',
    'id',
    '고객번호',
    '회원ID',
    '회원 아이디',
    '주문번호',
    '고객',
    '구매 고객번호',
    '환자번호',
  ],
])
  test(`a ${name} is one of whom new ones come: its rows are kept together`, () => assert.ok(entity(named(name))));

for (const name of [
  ...['product_id', 'productId', 'PULocationID', 'store', 'store_id', 'shop', 'sku', 'category_id', 'campaign_id', 'station_uuid'],
  ...[
    '상품번호',
    '매장ID',
    '지역 코드',
    'paid',
    'grid',
    'valid',
    'customer_segment',
    'session_number',
    'visit_number',
    'event',
    '회원 등급',
  ],
])
  test(`a ${name} comes again: it is learned from`, () => assert.ok(!entity(named(name))));

test('what only says id is known by whether its values come again: few rows each, or new ones among the latest', () => {
  const thing = (rowsEach: number) =>
    numbers(
      'thing_id',
      count(1000).map((i) => Math.floor(i / rowsEach)),
    );
  const inOrder = numbers('at', count(1000));
  const mixed = numbers(
    'at',
    count(1000).map((i) => (i * 373) % 1000),
  );
  assert.deepEqual([entity(thing(2)), entity(thing(20)), entity(thing(20), mixed), entity(thing(20), inOrder)], [true, false, false, true]);
});

test('a number with a fraction, a handful of kinds and the target are no entities', () => {
  const spent = numbers(
    'customer',
    count(500).map((i) => (i % 50) / 4),
  );
  const few = texts(
    'device_id',
    count(500).map((i) => `v${i % 4}`),
  );
  assert.deepEqual([entity(spent), entity(few)], [false, false]);
  const label = named('user_id');
  assert.ok(!isEntity(label, readColumn(label), { target: 'user_id' }, null));
});

/** Purchases: what a product sells for is its own, so that nothing but the product tells. */
function purchases(): ColumnData[] {
  const next = generator(11);
  const price = count(500).map(() => 10 + 90 * next());
  const product = count(10_000).map((i) => i % 500);
  return [
    texts(
      'product_id',
      product.map((p) => `p${p}`),
    ),
    numbers(
      'hour',
      product.map(() => Math.floor(24 * next())),
    ),
    numbers(
      'amount',
      product.map((p) => price[p]! + next()),
    ),
  ];
}

test('what a purchase comes to follows from its product, which is learned from', async () => {
  const { report, encoders } = await train({ target: 'amount', learner: 'trees', trees: { rounds: 60 } }, purchases());
  assert.equal(report!.split.kind, 'random');
  assert.ok(encoders.some(({ column }) => column === 'product_id'));
  assert.ok(score(report!, 'r2') > 0.9, String(score(report!, 'r2')));
  // Who expects new products is told how to see.
  const both = report!.warnings.filter(({ kind }) => kind === 'both sides').map(({ column }) => column);
  assert.deepEqual(both, ['product_id']);
});

test('the customer that rows are kept together by, and their orders, are not learned from, and the report and its card say so', async () => {
  const next = generator(13);
  const order = count(2400).map((i) => Math.floor(i / 3));
  const columns = [
    texts(
      '주문번호',
      order.map((o) => `o${o}`),
    ),
    texts(
      '고객번호',
      order.map((o) => `c${o % 160}`),
    ),
    texts(
      'product_id',
      order.map(() => `p${Math.floor(40 * next())}`),
    ),
    numbers(
      'x',
      order.map(() => next()),
    ),
    numbers(
      'y',
      order.map(() => (next() < 0.5 ? 1 : 0)),
    ),
  ];
  const { report, encoders } = await train({ target: 'y', learner: 'trees', trees: { rounds: 5 } }, columns);
  assert.deepEqual([report!.split.kind, report!.split.column], ['group', '고객번호']);
  assert.deepEqual(encoders.map(({ column }) => column).sort(), ['product_id', 'x']);
  assert.deepEqual(dropped(report!).sort(), ['고객번호', '주문번호']);
  for (const lines of [report!.card.en, report!.card.ko])
    assert.ok(lines.some((line) => line.includes('고객번호') && line.includes('주문번호')));
});

test('nyc-taxi: where a ride begins is learned from', { skip: withoutData }, async () => {
  const columns = slice(readTable('nyc-taxi/green_tripdata_2016-07.csv.gz', ',', null), 0, 6000);
  const plan = { target: 'tip_amount', ignore: ['total_amount', 'ehail_fee'], learner: 'trees', trees: { rounds: 5 } } as const;
  const { report, encoders } = await train(plan, columns);
  assert.notEqual(report!.split.kind, 'group');
  for (const place of ['PULocationID', 'DOLocationID']) assert.ok(encoders.some(({ column }) => column === place));
});
