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
