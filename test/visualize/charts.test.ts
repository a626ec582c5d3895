import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { MillraceError } from '#core';
import { charts, type Data, defaultLook, draw, fitting, loadEngine, marksOf, pick, withMarks } from '#visualize';
import { gallery } from './gallery.ts';

const { svg } = await loadEngine();

/** The option of a chart, or null where the result lacks what it needs. */
function optionOf(kind: string, data: Data, look = defaultLook) {
  try {
    const picture = draw({ kind }, data, look);
    return picture.kind === 'option' ? picture.option : null;
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'CHART_SHAPE') return null;
    throw error;
  }
}

const narrow = { ...defaultLook, dark: true, locale: 'ko', width: 300, height: 160 };
/** Small and dark only where it makes a difference: each picture costs some ms. */
const looks = (title: string) => (['very long labels', '한국어 이름', 'days'].includes(title) ? [defaultLook, narrow] : [defaultLook]);

describe('every chart', () => {
  for (const { name } of charts) {
    test(`${name} draws each result of the gallery, or says what it needs`, () => {
      for (const [title, data] of Object.entries(gallery)) {
        for (const look of looks(title)) {
          const option = optionOf(name, data, look);
          if (option === null) continue;
          const text = svg(option, look);
          assert.match(text, /^<svg/, title);
          assert.doesNotMatch(text, /NaN|undefined|Infinity/, `${name} of ${title}`);
        }
      }
    });

    test(`${name} never shows a day as a number`, () => {
      const option = optionOf(name, gallery['days']!);
      // The ms of January 2026.
      if (option !== null) assert.doesNotMatch(svg(option, defaultLook), /17(6[789]|70)\d{9}/);
    });

    test(`${name} lets no markup of a name or value into its picture`, () => {
      const option = optionOf(name, gallery['markup in names']!);
      if (option === null) return;
      const text = svg(option, defaultLook);
      assert.doesNotMatch(text, /<script|<img|<svg onload/i);
      // The tooltip is drawn on the canvas: its text is never read as HTML.
      assert.equal((option.tooltip as { renderMode?: string }).renderMode, 'richText');
    });

    test(`${name} is the same picture each time`, () => {
      for (const data of [gallery['days']!, gallery['two categories']!, gallery['three numbers']!]) {
        const once = optionOf(name, data);
        if (once !== null) assert.equal(strip(svg(once, defaultLook)), strip(svg(optionOf(name, data)!, defaultLook)));
      }
    });
  }

  test('throws nothing but the catalogue’s errors, whatever the result', () => {
    const type = fc.constantFrom(
      'VARCHAR',
      'BIGINT',
      'DOUBLE',
      'DECIMAL(18,2)',
      'DATE',
      'TIMESTAMP WITH TIME ZONE',
      'BOOLEAN',
      'JSON',
      'STRUCT(a INTEGER)',
    );
    const cell = fc.oneof(
      fc.constant(null),
      fc.double(),
      fc.integer(),
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom('2026-01-01', '2026-01-01T10:00:00Z', 'infinity', '12.50', 'NaN'),
      fc.boolean(),
    );
    const data = fc
      .array(type, { minLength: 1, maxLength: 4 })
      .chain((types) =>
        fc
          .array(fc.tuple(...types.map(() => cell)), { maxLength: 12 })
          .map((rows): Data => ({ columns: types.map((its, at) => ({ name: `c${at}`, type: its })), rows })),
      );
    fc.assert(
      fc.property(data, fc.constantFrom(...charts.map(({ name }) => name)), (result, kind) => {
        const option = optionOf(kind, result);
        if (option !== null) assert.match(svg(option, defaultLook), /^<svg/);
      }),
      { numRuns: 150 },
    );
  });
});

/** The renderer numbers its clip paths and styles through the whole process. */
const strip = (text: string) => text.replace(/zr\d+-[\w-]+/g, 'zr');

test('a column that the result lacks is refused with the columns that it has', () => {
  assert.throws(() => draw({ kind: 'bar', x: 'gone' }, gallery['days']!), { code: 'CHART_COLUMN', message: /"gone".*day, revenue/ });
});

test('a chart of an unknown kind is refused', () => {
  assert.throws(() => draw({ kind: 'radar' }, gallery['days']!), { code: 'CHART_UNKNOWN' });
});

test('missing days are a gap in the line, and days that are there are not', () => {
  const points = (data: Data) => {
    const [series] = optionOf('line', data)!.series as { data: [number, number | null][] }[];
    return series!.data.filter(([, value]) => value === null).length;
  };
  assert.equal(points(gallery['days']!), 0);
  assert.equal(points(gallery['a gap in time']!), 1);
});

test('a day that stands alone between gaps is a dot, on a line of many points too', () => {
  const day = (at: number) => new Date(Date.UTC(2026, 0, 1 + at)).toISOString().slice(0, 10);
  const there = [...Array.from({ length: 50 }, (_, at) => at), 60, ...Array.from({ length: 50 }, (_, at) => 70 + at)];
  const { columns } = gallery['a gap in time']!;
  const data = (days: readonly number[]): Data => ({ columns, rows: days.map((at) => [day(at), 5]) });
  for (const kind of ['line', 'area']) {
    // A dot is a circle of its own among the paths.
    const dots = (days: readonly number[]) => svg(optionOf(kind, data(days))!, defaultLook).match(/A2\.5 2\.5|<circle|A1 1 /g)?.length ?? 0;
    assert.ok(dots(there) > dots(there.filter((at) => at !== 60)), kind);
  }
});

test('missing days are a gap in the area too, and nothing counted on a day that is there is zero', () => {
  const points = (data: Data) => (optionOf('area', data)!.series as { data: [number, number | null][] }[]).map((series) => series.data);
  assert.ok(points(gallery['days']!).every((list) => list.length === 30));
  const [one] = points(gallery['a gap in time']!);
  assert.deepEqual(one!.slice(14, 17), [
    [Date.UTC(2026, 0, 15), 14],
    [Date.UTC(2026, 0, 16), null],
    [Date.UTC(2026, 0, 26), 15],
  ]);
  const [columns, day] = [gallery['days by category']!.columns, (at: number) => `2026-01-0${at}`];
  const rows = [1, 2, 3, 7, 8].flatMap((at) => [[day(at), 'a', at], ...(at === 2 ? [] : [[day(at), 'b', 10]])]);
  // Stacked on each other they have their gaps at the same moments.
  assert.deepEqual(
    points({ columns, rows }).map((list) => list.map(([, value]) => value)),
    [
      [10, 0, 10, null, 10, 10],
      [1, 2, 3, null, 7, 8],
    ],
  );
});

test('a moment stands where the zone’s clock showed it, over a change of the clocks too; a day stands where it is', () => {
  const at = (type: string, cells: string[], zone?: string) => {
    const rows = cells.map((cell, k) => [cell, k + 1]);
    const columns = [{ name: 'at', type }, gallery['days']!.columns[1]!];
    const option = optionOf('line', { columns, rows }, { ...defaultLook, ...(zone !== undefined && { zone }) })!;
    const [series] = option.series as { data: [number, number | null][] }[];
    return series!.data.filter(([, value]) => value !== null).map(([ms]) => new Date(ms).toISOString());
  };
  const moments = ['2026-03-28T23:30:00Z', '2026-03-29T00:30:00Z', '2026-03-29T01:30:00.250Z'];
  // Berlin goes from 02:00 to 03:00 at 01:00 UTC.
  assert.deepEqual(at('TIMESTAMP WITH TIME ZONE', moments, 'Europe/Berlin'), [
    '2026-03-29T00:30:00.000Z',
    '2026-03-29T01:30:00.000Z',
    '2026-03-29T03:30:00.250Z',
  ]);
  assert.equal(at('TIMESTAMP WITH TIME ZONE', moments)[0], '2026-03-28T23:30:00.000Z');
  assert.equal(at('DATE', ['2026-03-28', '2026-03-29'], 'Asia/Seoul')[0], '2026-03-28T00:00:00.000Z');
});

test('one day alone is named, and days have no ticks between them', () => {
  const one = { columns: gallery['days']!.columns, rows: [['2026-01-05', 3]] };
  const axis = (data: Data) => optionOf('bar', data)!.xAxis as { type: string; data?: string[]; minInterval?: number };
  assert.deepEqual([axis(one).type, axis(one).data], ['category', ['Jan 5, 2026']]);
  assert.equal(axis(gallery['days']!).minInterval, 86_400_000);
  assert.equal(axis(gallery['instants']!).minInterval, undefined);
});

test('bars begin at zero, lines need not', () => {
  const scale = (kind: string) => (optionOf(kind, gallery['days']!)!.yAxis as { scale: boolean }).scale;
  assert.equal(scale('bar'), false);
  assert.equal(scale('line'), true);
});

test('rows of the same step are added up', () => {
  const data = {
    columns: gallery['days']!.columns,
    rows: [
      ['2026-01-01', 1],
      ['2026-01-01', 2.5],
      ['2026-01-02', 4],
    ],
  };
  const [series] = optionOf('bar', data)!.series as { data: [number, number][] }[];
  assert.deepEqual(series!.data, [
    [Date.UTC(2026, 0, 1), 3.5],
    [Date.UTC(2026, 0, 2), 4],
  ]);
});

test('of more series than hues the largest are drawn, and the picture says how many are left out', () => {
  const picture = draw({ kind: 'line' }, gallery['days by category']!);
  assert.ok(picture.kind === 'option');
  assert.equal((picture.option.series as unknown[]).length, 7);
  assert.deepEqual(picture.notes, [{ kind: 'series_left_out', count: 3 }]);
});

test('a histogram counts every value once', () => {
  const [series] = optionOf('histogram', gallery['many values']!)!.series as { data: number[] }[];
  assert.equal(
    series!.data.reduce((sum, count) => sum + count, 0),
    500,
  );
});

test('the box plot’s quartiles are those of the sorted values', () => {
  const rows = [9, 1, 5, 3, 7].map((value) => [value]);
  const [series] = optionOf('box', { columns: [{ name: 'v', type: 'DOUBLE' }], rows })!.series as { data: number[][] }[];
  assert.deepEqual(series!.data[0], [1, 3, 5, 7, 9]);
});

describe('the picker chooses what a person would', () => {
  const expected: Readonly<Record<string, string>> = {
    'one row': 'number',
    'one row of figures': 'table',
    days: 'line',
    instants: 'line',
    'days by category': 'line',
    '200 categories': 'bar',
    '한국어 이름': 'bar',
    negative: 'bar',
    'two categories': 'stacked',
    'two numbers': 'scatter',
    'many values': 'histogram',
    nested: 'table',
    countries: 'bar',
    'many countries': 'map',
    'hours by weekday': 'heatmap',
    'few shares': 'bar',
    'one category': 'bar',
    'a gap in time': 'line',
    'days, two figures': 'line',
    'one row, two figures': 'number',
    'steps of an hour': 'line',
    'rows as they are': 'table',
    'only names': 'table',
    'very long labels': 'bar',
    'huge and tiny': 'bar',
    'three numbers': 'scatter',
  };
  for (const [title, kind] of Object.entries(expected)) {
    test(`${kind} for ${title}`, () => assert.equal(pick(gallery[title]!).kind, kind));
  }

  test('and what it offers can be drawn', () => {
    for (const [title, data] of Object.entries(gallery)) {
      for (const { name } of fitting(data)) assert.doesNotThrow(() => draw({ kind: name }, data), `${name} of ${title}`);
    }
  });
});

test('countries are known by code and by name, in English and Korean, and what is none is counted', () => {
  const picture = draw({ kind: 'map' }, gallery['countries']!);
  assert.ok(picture.kind === 'option');
  const [series] = picture.option.series as { data: { name: string; value: number }[] }[];
  assert.deepEqual(
    series!.data.map(({ name }) => name),
    ['GB', 'DE', 'IE', 'US', 'KR', 'JP', 'BR'],
  );
  assert.deepEqual(picture.notes, [{ kind: 'values_left_out', count: 2 }]);
});

test('a pivot has a column for each value, the sums, and nothing where nothing was', () => {
  const data = {
    columns: [
      { name: 'page', type: 'VARCHAR' },
      { name: 'device', type: 'VARCHAR' },
      { name: 'n', type: 'BIGINT' },
    ],
    rows: [
      ['/', 'mobile', 2],
      ['/', 'desktop', 3],
      ['/', 'mobile', 1],
      ['/a', 'desktop', 0.1 + 0.2],
    ],
  };
  const picture = draw({ kind: 'pivot' }, data);
  assert.ok(picture.kind === 'table');
  assert.deepEqual(
    picture.data!.columns.map(({ name }) => name),
    ['page', 'mobile', 'desktop', 'Σ'],
  );
  assert.deepEqual(picture.data!.rows, [
    ['/', 3, 3, 6],
    ['/a', null, 0.30000000000000004, 0.3],
  ]);
});

test('a table shades columns of numbers alone, and knows them by name', () => {
  const shaded = (shade: string[]) => draw({ kind: 'table', shade }, gallery['days']!);
  assert.deepEqual(shaded(['revenue']), { kind: 'table', shaded: [1] });
  assert.throws(() => shaded(['gone']), { code: 'CHART_COLUMN' });
  assert.throws(() => shaded(['day']), { code: 'CHART_SHAPE' });
});

test('of more bars than can be told apart the largest are drawn, in the order of the rows', () => {
  const rows = Array.from({ length: 60 }, (_, at) => [`/page/number/${at}`, at % 2 === 0 ? 1000 + at : 1]);
  const picture = draw({ kind: 'bar' }, { columns: gallery['negative']!.columns, rows });
  assert.ok(picture.kind === 'option');
  const [series] = picture.option.series as { data: number[] }[];
  assert.ok(series!.data.every((value) => value >= 1000));
  assert.deepEqual(
    series!.data,
    [...series!.data].sort((a, b) => a - b),
  );
  assert.deepEqual(picture.notes, [{ kind: 'values_left_out', count: 60 - series!.data.length }]);
});

test('what happened is a line across the time of a chart, and none beyond it or on a chart without time', () => {
  const marks = marksOf({
    columns: [],
    rows: [
      ['2026-01-10', 'Release {b}'],
      ['2031-01-01', 'later'],
      ['no time', 'never'],
    ],
  });
  assert.equal(marks.length, 2);
  const marked = withMarks(draw({ kind: 'line' }, gallery['days']!), marks, defaultLook);
  assert.ok(marked.kind === 'option');
  const [series] = marked.option.series as { markLine: { data: { xAxis: number; name: string }[] } }[];
  assert.deepEqual(series!.markLine.data, [{ xAxis: Date.UTC(2026, 0, 10), name: 'Release  b ' }]);
  assert.match(svg(marked.option, defaultLook), /^<svg/);
  const pie = draw({ kind: 'pie' }, gallery['한국어 이름']!);
  assert.equal(withMarks(pie, marks, defaultLook), pie);
});

test('there are at least sixteen kinds, each with a name and a sentence of its own', () => {
  assert.ok(charts.length >= 16);
  assert.equal(new Set(charts.map(({ name }) => name)).size, charts.length);
  assert.equal(new Set(charts.map(({ summary }) => summary)).size, charts.length);
});

describe('a curve', () => {
  const data: Data = {
    columns: ['share', 'lift', 'rows'].map((name) => ({ name, type: 'DOUBLE' })),
    rows: [
      [0.5, 2, 100],
      [0.1, 3, 25],
      [null, 9, 1],
      [0.9, null, 4],
    ],
  };
  const lines = [{ name: 'by {chance}', from: [0, 1], to: [1, 1] }] as const;
  const guide = { x: { from: 0, to: 1, unit: '%' }, y: { from: 0, to: 4 }, lines };
  const picture = draw({ kind: 'curve', x: 'share', y: ['lift'], size: 'rows', guide }, data);
  assert.ok(picture.kind === 'option');
  const { xAxis, yAxis, series, tooltip } = picture.option as unknown as {
    xAxis: { min: number; max: number; axisLabel: { formatter: (at: number) => string } };
    yAxis: { min: number; max: number };
    series: { data: number[][]; symbolSize: (value: number[]) => number; markLine: { data: object[][] } }[];
    tooltip: { formatter: (hovered: unknown) => string };
  };

  test('joins its points in the order of the rows; what has no place along is left out, what has no value is a gap', () => {
    assert.deepEqual(
      series.map((each) => each.data),
      [
        [
          [0.5, 2, 100],
          [0.1, 3, 25],
          [0.9, null, 4],
        ],
      ],
    );
    assert.deepEqual(picture.means({ series: 0, at: 2 })?.row, { share: 0.9, lift: null, rows: 4 });
  });

  test('four times the rows are four times the area', () => {
    const [large, small] = [100, 25].map((rows) => series[0]!.symbolSize([0, 0, rows]) - series[0]!.symbolSize([0, 0, 0]));
    assert.ok(Math.abs((large! / small!) ** 2 - 4) < 1e-9, `${large} and ${small}`);
  });

  test('runs where its guide says, in its unit, with the lines to compare with', () => {
    assert.deepEqual([xAxis.min, xAxis.max, yAxis.min, yAxis.max], [0, 1, 0, 4]);
    assert.equal(xAxis.axisLabel.formatter(0.25), '25%');
    assert.deepEqual(series[0]!.markLine.data, [[{ coord: [0, 1], name: 'by  chance ' }, { coord: [1, 1] }]]);
    assert.equal(tooltip.formatter([{ seriesName: 'lift', value: [0.1, 3, 25] }]), 'share  10%\nlift  3\nrows  25');
    assert.match(svg(picture.option, defaultLook), /by {2}chance/);
  });

  test('has a line for each value of the series, and for each number that is asked for', () => {
    const drawn = draw({ kind: 'curve', x: 'share', y: ['lift', 'rows'] }, data);
    assert.ok(drawn.kind === 'option');
    assert.deepEqual(
      (drawn.option.series as { name: string }[]).map(({ name }) => name),
      ['lift', 'rows'],
    );
    const columns = [...data.columns.slice(0, 2), { name: 'model', type: 'VARCHAR' }];
    const rows = ['a', 'b', 'a', 'b'].map((name, at) => [at / 4, at, name]);
    const parted = draw({ kind: 'curve', x: 'share', y: ['lift'], series: 'model' }, { columns, rows });
    assert.ok(parted.kind === 'option');
    assert.deepEqual(
      (parted.option.series as { name: string; data: number[][] }[]).map((each) => [each.name, each.data.map(([x]) => x)]),
      [
        ['a', [0, 0.5]],
        ['b', [0.25, 0.75]],
      ],
    );
  });

  test('bars stand on the scale that a guide gives too', () => {
    const bars = draw({ kind: 'bar', guide: { y: { from: 0, to: 10 } } }, gallery['한국어 이름']!);
    assert.ok(bars.kind === 'option');
    assert.equal((bars.option.yAxis as { max?: number }).max, 10);
  });
});
