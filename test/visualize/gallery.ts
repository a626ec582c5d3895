import type { Data } from '#visualize';

const row = <T>(count: number, of: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => of(at));
const day = (at: number) => new Date(Date.UTC(2026, 0, 1 + at)).toISOString().slice(0, 10);
const column = (name: string, type: string) => ({ name, type });
const [category, amount, date] = [column('page', 'VARCHAR'), column('revenue', 'DECIMAL(18,2)'), column('day', 'DATE')];

/** Results that charts meet, the awkward ones among them. */
export const gallery: Readonly<Record<string, Data>> = {
  'no rows': { columns: [category, amount], rows: [] },
  'one row': { columns: [amount], rows: [[12.5]] },
  'one row of figures': {
    columns: ['precision', 'recall', 'log_loss'].map((name) => ({ name, type: 'DOUBLE' })),
    rows: [[0.9, 0.8, 0.2]],
  },
  'one category': { columns: [category, amount], rows: [['/', 3]] },
  'only NULL': { columns: [category, amount], rows: [[null, null]] },
  'NULL among values': {
    columns: [category, amount],
    rows: [
      ['/', 3],
      [null, 4],
      ['/a', null],
    ],
  },
  days: { columns: [date, amount], rows: row(30, (at) => [day(at), at * at]) },
  'a gap in time': { columns: [date, amount], rows: row(30, (at) => [day(at < 15 ? at : at + 10), at]) },
  negative: {
    columns: [category, amount],
    rows: [
      ['a', -3],
      ['b', 5],
      ['c', -0.5],
    ],
  },
  '200 categories': { columns: [category, amount], rows: row(200, (at) => [`/product/${at}`, 200 - at]) },
  'very long labels': { columns: [category, amount], rows: row(5, (at) => [`${'a very long name '.repeat(20)}${at}`, at + 1]) },
  '한국어 이름': {
    columns: [category, amount],
    rows: [
      ['봄맞이 세일', 3],
      ['신상품 모아 보기', 4],
      ['장바구니', 1],
    ],
  },
  'huge and tiny': {
    columns: [category, amount],
    rows: [
      ['huge', 1e15],
      ['tiny', 1e-9],
      ['text', '123456789012345678.25'],
    ],
  },
  'two categories': {
    columns: [category, column('device', 'VARCHAR'), amount],
    rows: row(24, (at) => [`/${at % 6}`, at % 4 === 0 ? null : `d${at % 4}`, at]),
  },
  'days by category': { columns: [date, category, amount], rows: row(120, (at) => [day(Math.floor(at / 10)), `/${at % 10}`, at]) },
  'two numbers': { columns: [column('x', 'DOUBLE'), column('y', 'BIGINT')], rows: row(100, (at) => [Math.sin(at), at * 3]) },
  'three numbers': {
    columns: [column('x', 'DOUBLE'), column('y', 'DOUBLE'), column('z', 'DOUBLE')],
    rows: row(40, (at) => [Math.sin(at), Math.cos(at), at]),
  },
  'many values': { columns: [amount], rows: row(500, (at) => [(at * 37) % 101]) },
  'equal values': { columns: [amount], rows: row(50, () => [7]) },
  instants: {
    columns: [column('at', 'TIMESTAMP WITH TIME ZONE'), amount],
    rows: row(48, (at) => [new Date(Date.UTC(2026, 0, 1, at)).toISOString(), at]),
  },
  countries: {
    columns: [column('country', 'VARCHAR'), amount],
    rows: ['United Kingdom', 'Germany', 'EIRE', 'USA', 'KOR', '일본', 'Brazil', 'European Community', null].map((name, at) => [
      name,
      at * 10,
    ]),
  },
  'many countries': {
    columns: [column('country', 'VARCHAR'), amount],
    rows: 'France Spain Italy Greece Norway Sweden Finland Poland Austria Belgium Canada Mexico Chile Peru Kenya India China Japan'
      .split(' ')
      .map((name, at) => [name, 100 - at]),
  },
  'hours by weekday': {
    columns: [column('hour', 'BIGINT'), column('weekday', 'VARCHAR'), column('orders', 'BIGINT')],
    rows: row(7 * 24, (at) => [at % 24, ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'][Math.floor(at / 24)]!, at]),
  },
  'few shares': { columns: [category, amount], rows: row(4, (at) => [`/${at}`, 40 - at * 9]) },
  'days, two figures': { columns: [date, amount, column('orders', 'BIGINT')], rows: row(20, (at) => [day(at), at * 10, at]) },
  'one row, two figures': { columns: [amount, column('before', 'DECIMAL(18,2)')], rows: [[10, 8]] },
  'steps of an hour': { columns: [column('hour', 'BIGINT'), column('orders', 'BIGINT')], rows: row(24, (at) => [at, (at * 7) % 13]) },
  'rows as they are': {
    columns: [column('order_id', 'VARCHAR'), column('at', 'TIMESTAMP'), column('name', 'VARCHAR'), column('items', 'JSON')],
    rows: row(5, (at) => [`o${at}`, `${day(at)}T10:00:00`, 'a', '[1]']),
  },
  'only names': { columns: [category], rows: row(9, (at) => [`/${at}`]) },
  nested: { columns: [column('items', 'STRUCT(a INTEGER)[]')], rows: [[[{ a: 1 }]]] },
  'markup in names': {
    columns: [column('<img src=x onerror=alert(1)>', 'VARCHAR'), column('{a|b}<script>', 'DOUBLE')],
    rows: [
      ['<script>alert(1)</script>', 1],
      ['{b|x}', 2],
      ['"><svg onload=alert(1)>', 3],
    ],
  },
};
