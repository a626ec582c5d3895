import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parse } from 'yaml';
import {
  type Dashboard,
  definitionOf,
  mergeDashboards,
  parseDashboard,
  sqlOf,
  type Tile,
  type TileSource,
  writeDashboard,
} from '#visualize';

const file = 'dashboards/a.yaml';
const text = `# The shop at a glance
title: Shop
refresh: 30
tiles:
  # Money first
  - title: Revenue
    chart: number # one figure
    sql: SELECT 1 AS revenue
  - title: Days
    chart: "line"
    sql: |
      SELECT day, n
      FROM t
  - text: Read this.
`;

test('a filter without a title is written without one, and is called by its name', () => {
  const named = (title: string): Dashboard => ({ ...parseDashboard(text, file), filters: [{ name: 'page', title, sql: 'SELECT 1' }] });
  for (const title of ['', ' ']) {
    const written = writeDashboard(named(title), writeDashboard(named('Page'), text, file), file);
    assert.deepEqual(parse(written).filters, [{ name: 'page', sql: 'SELECT 1' }]);
    assert.equal(parseDashboard(written, file).filters[0]!.title, 'page');
  }
  assert.equal(parseDashboard(JSON.stringify(definitionOf(named(''))), file).filters[0]!.title, 'page');
});

const word = fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' }).filter((s) => s.trim() === s && !/[\p{C}\p{Z}]/u.test(s));
const plain = { noNullPrototype: true } as const;
const sources: readonly TileSource[] = [
  { kind: 'metric', name: 'revenue', by: [], grain: 'day' },
  { kind: 'metric', name: 'orders', by: ['channel', 'customer.country'], grain: 'none' },
  { kind: 'answer', name: 'funnel', options: { steps: "a,b:c='d" } },
  { kind: 'answer', name: 'retention', options: {} },
  { kind: 'model', name: 'main.stays', show: 'importance' },
];
const tile: fc.Arbitrary<Tile> = fc
  .record(
    {
      title: word,
      width: fc.integer({ min: 1, max: 12 }),
      height: fc.integer({ min: 1, max: 20 }),
      sql: fc.constantFrom('SELECT 1 AS n', 'SELECT 1\n  AS n -- "x": y\n', 'SELECT $from'),
      source: fc.constantFrom<(TileSource | null)[]>(null, null, ...sources),
      kind: fc.constantFrom(null, 'bar', 'number', 'table'),
      y: fc.array(word, { minLength: 1, maxLength: 3 }),
      tab: fc.option(word, { nil: null }),
      // Tiles name a filter only of a dashboard that has it.
      drill: fc.constantFrom(null, null, 'other'),
      shade: fc.array(word, { maxLength: 2 }),
    },
    plain,
  )
  .map(({ kind, y, sql, source, drill, shade, ...rest }) => ({
    ...rest,
    source,
    sql: source === null ? sql : sqlOf(source),
    text: null,
    filter: drill === null ? null : 'f',
    drill,
    chart: kind === null ? null : { kind, y, ...(shade.length > 0 && { shade }) },
  }));
const dashboard: fc.Arbitrary<Dashboard> = fc.record(
  {
    title: word,
    description: fc.constantFrom('', 'one\ntwo', '- no list'),
    refresh: fc.oneof(fc.option(fc.integer({ min: 1, max: 86_400 }), { nil: null }), fc.constant('live' as const)),
    range: fc.constantFrom('all' as const, '30d' as const),
    filters: fc.constantFrom([{ name: 'f', title: 'F', sql: 'SELECT 1' }], [{ name: 'f', title: 'F', sql: 'SELECT 2' }]),
    annotations: fc.constantFrom(null, 'SELECT day, name FROM a', 'SELECT 1,\n  2 -- "x": y\n'),
    tiles: fc.array(tile, { minLength: 1, maxLength: 5 }),
  },
  plain,
);

describe('a dashboard that was edited', () => {
  test('is written as a file that says the same, whatever stood there before', () => {
    fc.assert(
      fc.property(dashboard, fc.option(dashboard, { nil: null }), (next, before) => {
        const held = before === null ? null : writeDashboard(before, null, file);
        assert.deepEqual(parseDashboard(writeDashboard(next, held, file), file), next);
      }),
      { numRuns: 150 },
    );
  });

  test('as a definition in JSON is taken back as the same', () => {
    fc.assert(fc.property(dashboard, (next) => assert.deepEqual(parseDashboard(JSON.stringify(definitionOf(next)), file), next)));
  });

  test('keeps comments, spelling and order of what did not change', () => {
    const now = parseDashboard(text, file);
    assert.equal(writeDashboard(now, text, file), text);
    const wider = { ...now, tiles: now.tiles.map((each) => (each.title === 'Revenue' ? { ...each, width: 4 } : each)) };
    assert.equal(writeDashboard(wider, text, file), text.replace('AS revenue\n', 'AS revenue\n    width: 4\n'));
  });

  test('keeps the comment beside a tile that moved and was renamed', () => {
    const now = parseDashboard(text, file);
    const [first, second, third] = now.tiles as [Tile, Tile, Tile];
    const written = writeDashboard({ ...now, tiles: [second, third, { ...first, title: 'Income' }] }, text, file);
    assert.deepEqual(
      parse(written).tiles.map((each: { title?: string; text?: string }) => each.title ?? each.text),
      ['Days', 'Read this.', 'Income'],
    );
    assert.match(written, /# one figure/);
    assert.match(written, /SELECT day, n\n {6}FROM t/);
  });
});

describe('two people who edit one dashboard', () => {
  const base = parseDashboard(text, file);
  const edit = (at: number, change: Partial<Tile>) => ({
    ...base,
    tiles: base.tiles.map((each, k) => (k === at ? { ...each, ...change } : each)),
  });

  test('in different places get both edits', () => {
    const { dashboard: both, conflicts } = mergeDashboards(base, edit(0, { width: 5 }), { ...edit(1, { height: 7 }), title: 'Store' });
    assert.deepEqual(conflicts, []);
    assert.equal(both.title, 'Store');
    assert.deepEqual(
      both.tiles.map(({ width, height }) => [width, height]),
      [
        [5, 2],
        [6, 7],
        [6, 1],
      ],
    );
  });

  test('in the same place are told which, and mine stands there', () => {
    const { dashboard: both, conflicts } = mergeDashboards(base, edit(0, { width: 5 }), edit(0, { width: 6 }));
    assert.deepEqual(conflicts, ['Revenue']);
    assert.equal(both.tiles[0]!.width, 5);
  });

  test('a tile that one removed and the other left alone is gone; one that was changed is a conflict', () => {
    const without = { ...base, tiles: base.tiles.slice(1) };
    assert.deepEqual(mergeDashboards(base, base, without).dashboard.tiles, without.tiles);
    assert.deepEqual(mergeDashboards(base, edit(0, { width: 5 }), without).conflicts, ['Revenue']);
  });

  test('no edit of one alone is ever lost', () => {
    fc.assert(
      fc.property(dashboard, dashboard, (was, now) => {
        assert.deepEqual(mergeDashboards(was, now, was), { dashboard: now, conflicts: [] });
        assert.deepEqual(mergeDashboards(was, was, now), { dashboard: now, conflicts: [] });
      }),
    );
  });
});
