import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { init } from 'echarts';
import {
  type ChartSpec,
  charts,
  type Data,
  defaultLook,
  draw,
  type Hit,
  loadEngine,
  type Meaning,
  type Picture,
  valueFor,
  withPrevious,
} from '#visualize';
import { gallery } from './gallery.ts';

await loadEngine();

const columns = (...list: readonly string[]) =>
  list.map((each) => ({ name: each.split(' ')[0]!, type: each.slice(each.indexOf(' ') + 1) }));

const devices: Data = {
  columns: columns('day DATE', 'device VARCHAR', 'revenue DOUBLE'),
  rows: [
    ['2026-01-01', 'phone', 1],
    ['2026-01-01', 'desk', 20],
    ['2026-01-02', 'phone', 2],
    // Some days are missing, so that a line has a point that is none of the rows'.
    ['2026-01-08', 'desk', 30],
    ['2026-01-09', 'phone', 4],
    ['2026-01-09', null, 5],
    ['2026-01-10', 'phone', 3],
  ],
};
const pages: Data = {
  columns: columns('page VARCHAR', 'device VARCHAR', 'n BIGINT'),
  rows: [
    ['/', 'phone', 7],
    ['/', 'desk', 2],
    ['/a', 'phone', 5],
    ['/a', null, 4],
    [null, 'desk', 1],
  ],
};
const long = `${'a very long name '.repeat(9)}!`;
const steps: Data = {
  columns: columns('step VARCHAR', 'n BIGINT'),
  rows: [
    ['seen', 9],
    [long, 4],
    [null, 1],
  ],
};

function optionOf(spec: ChartSpec, data: Data, look = defaultLook) {
  const picture = draw(spec, data, look);
  assert.ok(picture.kind === 'option', spec.kind);
  return picture;
}

interface Item {
  readonly hit: Hit;
  readonly value: number | null;
}

/** The marks as the engine counts them, with the figure of each. */
function marksOf({ option }: Extract<Picture, { kind: 'option' }>): Item[] {
  const chart = init(null as never, null, { renderer: 'svg', ssr: true, width: 640, height: 320 });
  try {
    chart.setOption({ ...option, animation: false });
    const model = (chart as unknown as { getModel(): { getSeries(): Series[] } }).getModel();
    return model.getSeries().flatMap((series, at) => {
      const nodes = series.getData();
      const own = listed(nodes, at, series.getEdgeData === undefined ? undefined : 'node');
      return series.getEdgeData === undefined ? own : [...own, ...listed(series.getEdgeData(), at, 'edge')];
    });
  } finally {
    chart.dispose();
  }
}

interface List {
  count(): number;
  getRawDataItem(at: number): unknown;
}
interface Series {
  getData(): List;
  getEdgeData?(): List;
}

const listed = (list: List, series: number, kind: Hit['kind']): Item[] =>
  Array.from({ length: list.count() }, (_, at) => {
    const item = list.getRawDataItem(at) as { value?: unknown } | null;
    const value = typeof item === 'object' && item !== null && !Array.isArray(item) ? item.value : item;
    // Of a point x, y, the area if there is one, and a name; of a cell its places and the figure.
    const figure = Array.isArray(value) ? (value.length === 3 ? value[2] : (value[2] ?? value[1])) : value;
    return { hit: { series, at, kind }, value: typeof figure === 'number' ? figure : null };
  });

/** The rows that have what the mark stands for, added up. */
function summed({ row }: Meaning, data: Data, measure: string): number {
  const at = (name: string) => data.columns.findIndex((column) => column.name === name);
  return data.rows
    .filter((cells) => Object.entries(row).every(([name, value]) => (cells[at(name)] ?? null) === value))
    .reduce((sum, cells) => sum + Number(cells[at(measure)] ?? 0), 0);
}

describe('what a mark shows is what the rows have that it stands for', () => {
  const cases: readonly [title: string, spec: ChartSpec, data: Data, measure: string, unmeant?: number][] = [
    // The point in the gap is no row's.
    ['line', { kind: 'line' }, devices, 'revenue'],
    ['line of two figures', { kind: 'line', x: 'day', y: ['revenue'] }, gallery['days, two figures']!, 'revenue'],
    ['area', { kind: 'area' }, devices, 'revenue'],
    ['bar over time', { kind: 'bar', x: 'day', y: ['revenue'] }, devices, 'revenue'],
    ['bar', { kind: 'bar', x: 'page', y: ['n'] }, pages, 'n'],
    ['bars of which most are left out', { kind: 'bar' }, gallery['200 categories']!, 'revenue'],
    ['stacked', { kind: 'stacked' }, pages, 'n'],
    ['combo', { kind: 'combo', x: 'day', y: ['revenue'] }, devices, 'revenue'],
    ['pie', { kind: 'pie' }, steps, 'n'],
    ['pie with a rest', { kind: 'pie' }, gallery['200 categories']!, 'revenue', 1],
    ['funnel', { kind: 'funnel' }, steps, 'n'],
    ['heatmap', { kind: 'heatmap' }, pages, 'n'],
    ['heatmap of hours', { kind: 'heatmap' }, gallery['hours by weekday']!, 'orders'],
    ['cohort', { kind: 'cohort' }, gallery['days, two figures']!, 'orders'],
    ['calendar', { kind: 'calendar' }, gallery['days']!, 'revenue'],
    ['treemap', { kind: 'treemap', x: 'page', y: ['n'] }, pages, 'n', 1],
    ['treemap on two levels', { kind: 'treemap' }, pages, 'n', 1],
    ['sankey', { kind: 'sankey' }, pages, 'n'],
    ['map', { kind: 'map' }, gallery['countries']!, 'revenue', Number.NaN],
    ['scatter', { kind: 'scatter', x: 'x', y: ['y'] }, gallery['two numbers']!, 'y'],
    ['curve', { kind: 'curve', x: 'x', y: ['y'] }, gallery['two numbers']!, 'y'],
    ['bubble', { kind: 'bubble' }, gallery['three numbers']!, 'z'],
  ];
  for (const [title, spec, data, measure, unmeant = 0] of cases) {
    test(title, () => {
      const picture = optionOf(spec, data);
      const marks = marksOf(picture);
      const drawn = marks.filter(({ value }) => value !== null && value !== 0);
      assert.ok(drawn.length > 2);
      const without = drawn.filter(({ hit }) => picture.means(hit) === null);
      // The engine's own root, the rest of a pie, countries that no row has.
      if (!Number.isNaN(unmeant)) assert.equal(without.length, unmeant);
      for (const { hit, value } of drawn) {
        const meaning = picture.means(hit);
        if (meaning === null || hit.kind === 'node') continue;
        assert.ok(Math.abs(summed(meaning, data, measure) - value!) < 1e-9, `${JSON.stringify(meaning)}: ${value}`);
      }
    });
  }

  test('every kind that draws marks is among them, or says what it means below', () => {
    const told = new Set([...cases.map(([, { kind }]) => kind), 'box', 'histogram', 'pivot', 'number', 'table']);
    assert.deepEqual(
      charts.map(({ name }) => name).filter((name) => !told.has(name)),
      [],
    );
  });
});

test('what has no place for a second category shows what the rows have without it', () => {
  const drawn = (spec: ChartSpec, data: Data) => {
    const picture = optionOf(spec, data);
    return marksOf(picture).map(({ hit, value }) => [...Object.values(picture.means(hit)!.row), value]);
  };
  for (const kind of ['pie', 'funnel'])
    assert.deepEqual(
      drawn({ kind }, pages),
      [
        ['/', 9],
        ['/a', 9],
        [null, 1],
      ],
      kind,
    );
  assert.deepEqual(drawn({ kind: 'calendar' }, devices), [
    ['2026-01-01', 21],
    ['2026-01-02', 2],
    ['2026-01-08', 30],
    ['2026-01-09', 9],
    ['2026-01-10', 3],
  ]);
  const three = {
    columns: [...pages.columns.slice(0, 2), { name: 'country', type: 'VARCHAR' }, pages.columns[2]!],
    rows: [] as unknown[][],
  };
  for (const country of ['KR', 'DE']) three.rows.push(['/', 'phone', country, 2], ['/a', 'desk', country, 3]);
  three.rows.push(['/a', 'phone', 'KR', null]);
  assert.deepEqual(drawn({ kind: 'heatmap', x: 'page', series: 'device', y: ['n'] }, three), [
    ['/', 'phone', 4],
    ['/a', 'desk', 6],
    ['/a', 'phone', null],
  ]);
});

describe('what a click sets a filter to', () => {
  const set = (spec: ChartSpec, data: Data, filter: string, hit: Partial<Hit> = {}) => {
    const meaning = optionOf(spec, data).means({ series: 0, at: 0, ...hit });
    return meaning && valueFor(filter, meaning);
  };

  test('the column that is called like it', () => {
    assert.equal(set({ kind: 'stacked' }, pages, 'device'), 'phone');
    assert.equal(set({ kind: 'stacked' }, pages, 'page'), '/');
    assert.equal(set({ kind: 'line' }, devices, 'day', { series: 1, at: 1 }), '2026-01-02');
    assert.equal(set({ kind: 'scatter', x: 'revenue', y: ['day'] }, { ...devices, rows: devices.rows.slice(0, 2) }, 'device'), 'phone');
  });

  test('else the step, or the series where the steps are times, and never the name of a figure', () => {
    assert.equal(set({ kind: 'bar', x: 'page', y: ['n'] }, pages, 'landing'), '/');
    assert.equal(set({ kind: 'line' }, devices, 'kind'), 'desk');
    for (const kind of ['line', 'bar', 'area', 'combo', 'calendar']) assert.equal(set({ kind }, gallery['days']!, 'device'), null, kind);
    assert.equal(set({ kind: 'heatmap' }, pages, 'landing'), '/');
    assert.equal(set({ kind: 'box', x: 'page', y: ['n'] }, pages, 'landing'), '/');
    assert.equal(set({ kind: 'scatter' }, gallery['two numbers']!, 'device'), null);
    assert.equal(set({ kind: 'histogram' }, gallery['many values']!, 'device'), null);
    // One day alone is named on its axis as the reader writes it.
    assert.equal(set({ kind: 'bar', x: 'day', y: ['revenue'] }, { ...devices, rows: devices.rows.slice(0, 1) }, 'day'), '2026-01-01');
  });

  test('a name as the rows have it, however long or wherever it stands', () => {
    assert.equal(set({ kind: 'funnel' }, steps, 'step', { at: 1 }), long);
    assert.equal(set({ kind: 'sankey' }, pages, 'page', { kind: 'node' }), '/');
    assert.equal(set({ kind: 'sankey' }, pages, 'landing', { kind: 'node', at: 1 }), 'phone');
    assert.equal(set({ kind: 'sankey' }, pages, 'device', { kind: 'edge', at: 1 }), 'phone');
    assert.equal(set({ kind: 'map' }, gallery['countries']!, 'country', { at: 2 }), 'EIRE');
  });

  test('NULL is no value that a filter has', () => {
    assert.equal(set({ kind: 'funnel' }, steps, 'step', { at: 2 }), null);
    assert.deepEqual(optionOf({ kind: 'funnel' }, steps).means({ series: 0, at: 2 }), { row: { step: null }, by: ['step'] });
  });

  test('what several values have in common is none of them', () => {
    const data = (type: string, rows: Data['rows']) => ({ columns: columns(`a ${type}`, 'n DOUBLE'), rows });
    const twice = data('VARCHAR', [
      ['USA', 1],
      ['United States', 2],
    ]);
    assert.equal(set({ kind: 'map' }, twice, 'a'), null);
    const hours = data('TIMESTAMP', [
      ['2026-01-01T10:00:00', 1],
      ['2026-01-01T11:00:00', 2],
      ['2026-01-02T11:00:00', 2],
    ]);
    assert.equal(optionOf({ kind: 'calendar' }, hours).means({ series: 0, at: 0 }), null);
    assert.deepEqual(optionOf({ kind: 'calendar' }, hours).means({ series: 0, at: 1 })?.row, { a: '2026-01-02T11:00:00' });
    const sign = data('VARCHAR', [
      ['∅', 1],
      [null, 2],
      ['b', 2],
    ]);
    assert.deepEqual([set({ kind: 'bar' }, sign, 'a'), set({ kind: 'bar' }, sign, 'a', { at: 1 })], [null, 'b']);
  });

  test('of the period before nothing is meant', () => {
    const before = { data: gallery['days']!, shift: 0, name: 'before' };
    const both = withPrevious(draw({ kind: 'line' }, gallery['days']!), { kind: 'line' }, before, defaultLook);
    assert.ok(both.kind === 'option');
    assert.equal((both.option.series as unknown[]).length, 2);
    assert.deepEqual(
      [0, 1].map((series) => both.means({ series, at: 3 })?.row ?? null),
      [{ day: '2026-01-04' }, null],
    );
  });

  test('a cell of a pivot stands for where it crosses, a sum for its line', () => {
    const picture = draw({ kind: 'pivot' }, pages);
    assert.ok(picture.kind === 'table');
    const means = (row: number, column: string) => picture.means!(picture.data!.rows[row]!, column)?.row;
    assert.deepEqual(means(1, 'phone'), { page: '/a', device: 'phone' });
    assert.deepEqual(means(2, '∅'), { page: null, device: null });
    assert.deepEqual(means(0, 'Σ'), { page: '/' });
  });
});
