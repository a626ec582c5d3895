import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { recogniseExport, shopDataset } from '#simulate';
import { parametersOf, parseDashboard } from '#visualize';

const whole = `title: Shop
description: All of it
refresh: 30
range: 30d
filters:
  - name: page
    sql: SELECT 1
tiles:
  - title: Revenue
    chart: bar
    x: day
    y: [revenue, tax]
    unit: KRW
    width: 8
    height: 5
    sql: SELECT * FROM t WHERE day >= $from AND page = $page
  - text: Read this first.
`;

test('a whole file becomes data, with defaults where it says nothing', () => {
  const { tiles, ...rest } = parseDashboard(whole, 'dashboards/a.yaml');
  assert.deepEqual(rest, {
    title: 'Shop',
    description: 'All of it',
    refresh: 30,
    range: '30d',
    filters: [{ name: 'page', title: 'page', sql: 'SELECT 1' }],
    annotations: null,
  });
  assert.deepEqual(tiles, [
    {
      title: 'Revenue',
      width: 8,
      height: 5,
      sql: 'SELECT * FROM t WHERE day >= $from AND page = $page',
      source: null,
      text: null,
      chart: { kind: 'bar', x: 'day', y: ['revenue', 'tax'], unit: 'KRW' },
      tab: null,
      filter: null,
      drill: null,
    },
    {
      title: '',
      width: 6,
      height: 1,
      sql: null,
      source: null,
      text: 'Read this first.',
      chart: null,
      tab: null,
      filter: null,
      drill: null,
    },
  ]);
});

describe('a file that can’t be taken is refused with its line', () => {
  const tile = 'title: A\ntiles:\n  - sql: SELECT 1\n';
  const cases: readonly [text: string, line: number, says: RegExp][] = [
    ['tiles: [', 1, /./],
    ['', 1, /must be a map/],
    ['- a', 1, /must be a map/],
    ['title: A\ntile: 1\n', 2, /"tile" is unknown; "title" is near/],
    ['description: x\ntiles:\n  - sql: SELECT 1\n', 1, /"title" is missing/],
    ['title: A\n', 1, /"tiles" needs at least one/],
    [`${tile}    drill: other\n`, 4, /"tiles\[1\].drill" needs "filter"/],
    [`${tile}    shade: n\n`, 4, /"tiles\[1\].shade" needs "chart"/],
    [`annotations: SELECT $gone\n${tile}`, 1, /"annotations" reads \$gone/],
    [`${tile}    width: 13\n`, 4, /"tiles\[1\].width" can't be "13"; it must be from 1 to 12/],
    [`${tile}    chart: radar\n`, 4, /can't be "radar"; use line, bar/],
    [`${tile}    x: day\n`, 4, /"tiles\[1\].x" needs "chart"/],
    [`${tile}    text: both\n`, 4, /one of them/],
    ['title: A\ntiles:\n  - title: empty\n', 3, /one of them/],
    ['title: A\ntiles:\n  - title: T\n    sql: SELECT $pgae\n', 4, /reads \$pgae, which no filter gives; there are \$from, \$to/],
    [`${tile}refresh: 0\n`, 4, /"refresh" can't be "0"; it must be from 1 to 86400/],
    [`${tile}refresh: often\n`, 4, /"refresh" can't be "often"; use a whole number/],
    [`${tile}range: 2d\n`, 4, /"range" can't be "2d"/],
    [`${tile}filters:\n  - name: from\n    sql: SELECT 1\n`, 5, /the time range has it/],
    [`${tile}filters:\n  - name: a b\n    sql: SELECT 1\n`, 5, /can't be "a b"/],
    [`${tile}filters:\n  - { name: a, sql: SELECT 1 }\n  - { name: a, sql: SELECT 1 }\n`, 5, /"a" twice/],
    ['title: &a A\ntiles: []\n', 1, /anchors/],
    ['title: !x A\ntiles: []\n', 1, /tags/],
    ['title: A\ntitle: B\n', 2, /the key "title" stands twice/],
    ['title: A\n---\ntitle: B\n', 2, /document/],
    [`title: ${'x'.repeat(201)}\n`, 1, /more than 200/],
    ['title: "a\\u0000b"\n', 1, /control character/],
  ];
  for (const [text, line, says] of cases) {
    test(`${JSON.stringify(text.slice(-40))} at line ${line}`, () => {
      assert.throws(
        () => parseDashboard(text, 'dashboards/a.yaml'),
        (error: { code: string; params: { line?: number }; message: string }) => {
          assert.match(error.code, /^DEFINITION_(YAML|INVALID)$/);
          assert.match(error.message, says);
          assert.equal(error.params.line, line, error.message);
          return true;
        },
      );
    });
  }
});

test('parameters are found in SQL, and not in its texts, quoted names and comments', () => {
  const sql = `SELECT $from, '$no', "$no", $page::DATE -- $no\n/* $no */ , $$ $no $$, $a$ $no $a$, a.$x, $from`;
  assert.deepEqual(parametersOf(sql), ['from', 'page', 'x']);
});

const columnsOf = (types: Record<string, string>) => Object.entries(types).map(([name, type]) => ({ name, type }));
const gaColumns = columnsOf({ fullVisitorId: 'VARCHAR', visitStartTime: 'BIGINT', hits: 'STRUCT()', totals: 'STRUCT()' });
const ga4Columns = columnsOf({
  event_timestamp: 'BIGINT',
  event_name: 'VARCHAR',
  event_params: 'STRUCT()[]',
  user_pseudo_id: 'VARCHAR',
  ecommerce: 'STRUCT()',
});

test('the dashboards that the main job brings along can be taken', () => {
  const texts = [shopDataset('Asia/Seoul'), recogniseExport('sessions', gaColumns), recogniseExport('events', ga4Columns)].flatMap(
    ({ dashboards }) => Object.values(dashboards),
  );
  assert.equal(texts.length, 3);
  for (const text of texts) assert.equal(parseDashboard(text, 'dashboards/shop.yaml').tiles.length, 9);
});
