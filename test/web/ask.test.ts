import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Weekday } from '#core';
import type {
  DashboardVersionsAnswer,
  LineageAnswer,
  LoginAnswer,
  MetricsAnswer,
  QueryAnswer,
  SavedQueriesAnswer,
  SavedQueryAnswer,
  Started,
} from '#server';
import { asked, parseDashboard, valuesOf } from '#visualize';
import { inputsOf, valuesFor } from '../../web/ask/inputs.ts';
import { firstMetricQuestion, firstQuestion, metricSql, type Question, tableSql } from '../../web/ask/question.ts';
import { visit, withoutBrowser } from './browser.ts';
import { millrace, send } from './server.ts';

const sales = `CREATE TABLE main.sales AS SELECT * FROM (VALUES
  (TIMESTAMPTZ '2026-03-01 16:00:00+00', 'a', 10, 'it''s'), (TIMESTAMPTZ '2026-03-02 01:00:00+00', 'b', 5, NULL),
  (TIMESTAMPTZ '2026-03-03 01:00:00+00', 'a', 7, 'x'), (TIMESTAMPTZ '2026-02-27 01:00:00+00', 'a', 100, 'x'),
  (TIMESTAMPTZ '2026-02-28 01:00:00+00', 'c', 1, 'x')) v("at", shop, amount, note)`;
const files: Readonly<Record<string, string>> = {
  'metrics/revenue.yaml': 'title: Revenue\nexpression: sum(amount)\ntable: main.sales\ntime: at\ndimensions: [shop]\nformat: currency\n',
  'metrics/broken.yaml': 'title: [\n',
  'dashboards/sales.yaml':
    'title: Sales\nrefresh: live\ntiles:\n  - title: By shop\n    metric: revenue\n    by: shop\n  - title: Sum\n    sql: SELECT sum(amount) AS total FROM main.sales\n  - title: One\n    sql: SELECT 1 AS one\n',
  'queries/by-hand.sql': '-- Written by hand\nSELECT count(*) AS n FROM main.sales\n',
  'queries/Not A Name.sql': 'SELECT 1',
};

describe('questions on one workspace', () => {
  let server: Started & { path: string };
  let end: () => Promise<void> = async () => {};
  const send2 = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    send(server.address, method, path, { authorization: `Bearer ${server.adminToken}`, ...headers }, body);
  const codeOf = (answer: { json<T>(): T }) => answer.json<{ error: { code: string } }>().error.code;
  before(async () => {
    server = await millrace({ after: (fn) => (end = fn) }, (path) => {
      for (const folder of ['metrics', 'dashboards', 'queries']) mkdirSync(join(path, folder), { recursive: true });
      for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
    });
    const made = await send2('POST', '/v1/query', { sql: sales });
    assert.equal(made.status, 200, made.text);
  });
  after(() => end());

  const rows = async (sql: string, values: Record<string, string | null> = {}) => {
    const { sql: statement, params } = asked(sql, values);
    const answer = await send2('POST', '/v1/query', { sql: statement, params });
    assert.equal(answer.status, 200, `${statement}\n${answer.text}`);
    return answer.json<QueryAnswer>().rows;
  };

  describe('what is clicked together', () => {
    const table = {
      schema: 'main',
      name: 'sales',
      kind: 'table',
      origin: 'statement',
      rows: 5,
      comment: null,
      columns: [
        { name: 'at', type: 'TIMESTAMP WITH TIME ZONE', nullable: true },
        { name: 'shop', type: 'VARCHAR', nullable: true },
        { name: 'amount', type: 'INTEGER', nullable: true },
        { name: 'note', type: 'VARCHAR', nullable: true },
      ],
    } as unknown as Parameters<typeof tableSql>[0];
    const first = firstQuestion(table);
    const ask = (part: Partial<Question>, values: Record<string, string | null> = {}, week_start: Weekday = 'monday') =>
      rows(tableSql(table, { ...first, ...part }, { time_zone: 'Asia/Seoul', week_start }), values);

    test('counts the rows by the day that the workspace’s clock showed', async () => {
      assert.deepEqual(await ask({}), [
        ['2026-02-27', 1],
        ['2026-02-28', 1],
        // 16:00 UTC is the next day in Seoul.
        ['2026-03-02', 2],
        ['2026-03-03', 1],
      ]);
    });

    test('counts the rows by week, which begins on the workspace’s day', async () => {
      assert.deepEqual(await ask({ grain: 'week' }), [
        ['2026-02-23', 2],
        ['2026-03-02', 3],
      ]);
      assert.deepEqual(await ask({ grain: 'week' }, {}, 'saturday'), [
        ['2026-02-21', 1],
        ['2026-02-28', 4],
      ]);
    });

    test('is broken down and filtered by values that carry quotes', async () => {
      const sum = { aggregate: 'sum', measure: 'amount', grain: 'none', by: ['shop'] } as const;
      assert.deepEqual(await ask(sum), [
        ['a', 117],
        ['b', 5],
        ['c', 1],
      ]);
      assert.deepEqual(await ask({ ...sum, conditions: [{ column: 'note', test: 'is', value: "it's" }] }), [['a', 10]]);
      assert.deepEqual(await ask({ ...sum, conditions: [{ column: 'note', test: 'empty', value: '' }] }), [['b', 5]]);
      assert.deepEqual(await ask({ ...sum, conditions: [{ column: 'amount', test: 'at_least', value: '10' }] }), [['a', 110]]);
      for (const column of ['amount', 'at', 'shop'])
        for (const test of ['is', 'is_not', 'at_least'] as const)
          assert.equal((await ask({ ...sum, conditions: [{ column, test, value: '' }] })).length, 3, `${column} waits for a value`);
      assert.deepEqual(await ask({ ...sum, conditions: [{ column: 'shop', test: 'is_not', value: "a' OR 1=1 --" }], by: [] }), [[123]]);
    });

    test('compares with the period of the same length before, in one pass', async () => {
      const values = valuesOf({ range: 'custom', from: '2026-03-01', to: '2026-03-03', filters: {} }, ['from', 'to', 'last'], '2026-03-09');
      const part = { aggregate: 'sum', measure: 'amount', grain: 'none', by: ['shop'], range: 'custom', compare: true } as const;
      const compared = await ask(part, values);
      assert.deepEqual(
        compared.toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
        [
          ['a', 17, 100],
          ['b', 5, null],
          ['c', null, 1],
        ],
      );
    });

    test('of a metric follows its definition, its days are those of the range', async () => {
      const { metrics, ...calendar } = (await send2('GET', '/v1/metrics')).json<MetricsAnswer>();
      assert.deepEqual(
        [metrics.map(({ name }) => name), calendar],
        [['revenue'], { time_zone: 'Asia/Seoul', week_start: 'monday', currency: 'KRW' }],
      );
      const metric = metrics[0]!;
      const question = { ...firstMetricQuestion(metric), by: ['shop'], grain: 'none' as const };
      assert.deepEqual(await rows(metricSql(metric, question)), [
        ['a', 117],
        ['b', 5],
        ['c', 1],
      ]);
      const values = { from: '2026-03-01', last: '2026-03-02', before_from: '2026-02-27', before_last: '2026-02-28' };
      const ranged = { ...question, range: 'custom' as const, compare: true };
      const compared = await rows(metricSql(metric, ranged), values);
      assert.deepEqual(new Set(compared.map(String)), new Set(['a,10,100', 'b,5,', 'c,,1']));
    });
  });

  test('a tile that names a metric asks it for the range that is chosen', async () => {
    const { tiles } = parseDashboard(files['dashboards/sales.yaml']!, 'x');
    const sql = tiles[0]!.sql!;
    const names = ['from', 'last'];
    const choice = { range: 'custom', from: '2026-02-28', to: '2026-03-02', filters: {} } as const;
    assert.deepEqual(new Set((await rows(sql, valuesOf(choice, names, '2026-03-09'))).map(String)), new Set(['a,10', 'b,5', 'c,1']));
    assert.equal((await rows(sql, valuesOf({ ...choice, range: 'all' }, names, '2026-03-09'))).length, 3);
  });

  describe('saved questions', () => {
    test('are files with their versions; of two who edit one the second is told', async () => {
      const put = (name: string, sql: unknown, version: unknown) => send2('PUT', `/v1/queries/${name}`, { sql, version });
      const made = await put('by-shop', '-- By shop\nSELECT $shop AS shop', null);
      assert.equal(made.status, 200, made.text);
      const { title, version, parameters } = made.json<SavedQueryAnswer>();
      assert.deepEqual([title, parameters], ['By shop', ['shop']]);
      assert.equal(codeOf(await put('by-shop', 'SELECT 2', null)), 'SAVED_CHANGED');
      assert.equal((await put('by-shop', 'SELECT 3', version)).status, 200);
      assert.equal(codeOf(await put('by-shop', 'SELECT 4', version)), 'SAVED_CHANGED');
      assert.equal(readFileSync(join(server.path, 'queries', 'by-shop.sql'), 'utf8'), 'SELECT 3');
      const { versions } = (await send2('GET', '/v1/queries/by-shop/versions')).json<DashboardVersionsAnswer>();
      assert.equal(versions.length, 2);
      const old = await send2('GET', `/v1/queries/by-shop/versions/${versions[1]!.version}`);
      assert.equal(old.json<SavedQueryAnswer>().sql, '-- By shop\nSELECT $shop AS shop');
      const { queries } = (await send2('GET', '/v1/queries')).json<SavedQueriesAnswer>();
      assert.deepEqual(
        queries.map(({ name, title: shown }) => [name, shown]),
        [
          ['by-hand', 'Written by hand'],
          ['by-shop', 'by-shop'],
        ],
      );
      assert.equal((await send2('DELETE', '/v1/queries/by-shop')).status, 200);
      assert.equal(codeOf(await send2('GET', '/v1/queries/by-shop')), 'SAVED_UNKNOWN');
    });

    test('may be as long as a statement may be, their versions too, and lineage reads them', async () => {
      const long = `SELECT '${'가'.repeat(99_000)}' FROM main.sales`;
      const put = (sql: string, version: unknown) => send2('PUT', '/v1/queries/long', { sql, version });
      const made = await put(long, null);
      assert.equal(made.status, 200, made.text.slice(0, 200));
      const { version } = made.json<SavedQueryAnswer>();
      assert.equal((await put('SELECT 1', version)).status, 200);
      assert.equal((await send2('GET', `/v1/queries/long/versions/${version}`)).json<SavedQueryAnswer>().sql, long);
      assert.equal((await put(long, (await send2('GET', '/v1/queries/long')).json<SavedQueryAnswer>().version)).status, 200);
      const { nodes } = (await send2('GET', '/v1/lineage?table=main.sales')).json<LineageAnswer>();
      assert.ok(nodes.some(({ id }) => id === 'question long'));
      assert.equal((await send2('DELETE', '/v1/queries/long')).status, 200);
    });

    test('no name leads out of the folder, what is no text is refused, and viewers save none', async () => {
      const put = (name: string, body: unknown) => send2('PUT', `/v1/queries/${name}`, body);
      for (const name of ['..%2fmillrace', 'A', '%2e%2e', 'a.b', 'a%00'])
        assert.equal(codeOf(await put(name, { sql: 'SELECT 1', version: null })), 'SAVED_NAME', name);
      for (const sql of [7, null, '', ' \n', 'x'.repeat(100_001)])
        assert.equal(codeOf(await put('new', { sql, version: null })), 'REQUEST_INVALID', String(sql).slice(0, 10));
      const made = await send2('POST', '/v1/tokens', { name: 'v', role: 'viewer' });
      const viewer = { authorization: `Bearer ${made.json<LoginAnswer>().token}` };
      assert.equal((await send2('GET', '/v1/queries/by-hand', undefined, viewer)).status, 200);
      assert.equal((await send2('PUT', '/v1/queries/by-hand', { sql: 'SELECT 1', version: null }, viewer)).status, 403);
      assert.equal((await send2('DELETE', '/v1/queries/by-hand', undefined, viewer)).status, 403);
    });
  });

  test('lineage names what reads a table, once each, and refuses a table that is none', async () => {
    const { nodes, edges } = (await send2('GET', '/v1/lineage?table=main.sales')).json<LineageAnswer>();
    assert.deepEqual(nodes.map(({ id, level }) => [id, level]).toSorted(), [
      ['dashboard sales', 1],
      ['metric revenue', 1],
      ['question by-hand', 1],
      ['table main.sales', 0],
    ]);
    assert.deepEqual(new Set(edges.map(({ from }) => from)), new Set(['table main.sales']));
    assert.equal(codeOf(await send2('GET', '/v1/lineage?table=main.gone')), 'TABLE_UNKNOWN');
    assert.equal(codeOf(await send2('GET', '/v1/lineage')), 'REQUEST_INVALID');
  });

  describe('in a browser', { skip: withoutBrowser }, () => {
    test('a live tile follows what is written; tiles of a metric, an answer and a model are made by choosing, and draw', async (t) => {
      const line =
        "CREATE OR REPLACE MODEL line OPTIONS (model_type = 'LINEAR_REG', input_label_cols = ['y']) AS SELECT i % 40 AS x, 2 * (i % 40) AS y FROM range(400) r(i)";
      assert.equal((await send2('POST', '/v1/query', { sql: line })).status, 200);
      const { page, enter, complaints, shot, violations } = await visit(t, { language: 'en', scheme: 'light', width: 1440 });
      await enter(server.address, server.adminToken);
      await page.goto(`${server.address}/dashboards/sales`);
      const sum = page.locator('.tile', { hasText: 'Sum' });
      const before = 123;
      await sum.getByText(String(before), { exact: true }).waitFor();
      await page.locator('.live .dot:not(.wait)').waitFor();
      const written = await send2('POST', '/v1/query', { sql: "INSERT INTO main.sales VALUES (now(), 'e', 500, NULL)" });
      assert.equal(written.status, 200);
      await sum.getByText(String(before + 500), { exact: true }).waitFor();
      assert.equal((await send2('POST', '/v1/query', { sql: "DELETE FROM main.sales WHERE shop = 'e'" })).status, 200);

      await page.getByRole('button', { name: 'Edit', exact: true }).click();
      for (const [kind, option] of [
        ['Metric', 'Revenue'],
        ['Answer', 'A figure that is defined once'],
        ['Model', 'main.line'],
      ] as const) {
        await page.getByRole('button', { name: 'Add a tile' }).click();
        const form = page.getByRole('dialog');
        await form.getByText(kind, { exact: true }).first().click();
        await form.getByRole('textbox', { name: 'Title' }).fill(`By ${kind}`);
        await form.getByRole('combobox', { name: kind }).click();
        await page.getByRole('option', { name: option }).click();
        if (kind === 'Answer') await form.locator('.options').getByLabel('Metric').fill('revenue');
        await shot(`tile-form-${kind.toLowerCase()}`);
        await form.getByRole('button', { name: 'Apply' }).click();
        await form.waitFor({ state: 'detached' });
      }
      await page.getByRole('button', { name: 'Save', exact: true }).click();
      await page.getByRole('button', { name: 'Edit', exact: true }).waitFor();
      for (const [kind, shown] of [
        ['Metric', '123'],
        ['Answer', '123'],
        ['Model', 'mean_absolute_error'],
      ] as const) {
        const tile = page.locator('.tile', { hasText: `By ${kind}` });
        await tile.getByText(shown, { exact: true }).first().waitFor();
        assert.equal(await tile.locator('.problem').count(), 0, kind);
      }
      const file = readFileSync(join(server.path, 'dashboards', 'sales.yaml'), 'utf8');
      for (const words of ['metric: revenue', 'answer: metric', 'model: main.line']) assert.ok(file.includes(words), `${words}\n${file}`);
      await shot('tiles-of-sources');
      assert.deepEqual(await violations(), []);

      await page.goto(`${server.address}/ask#query=by-hand`);
      await page.getByText('-- Written by hand').waitFor();
      await page.evaluate("location.hash = 'table=main.sales'");
      await page.getByText('FROM main.sales').first().waitFor();
      assert.deepEqual(complaints, []);
      writeFileSync(join(server.path, 'dashboards', 'sales.yaml'), files['dashboards/sales.yaml']!);
    });
  });

  test('a live dashboard is told which tiles read a table that was written, and nobody without a token is', {
    timeout: 30_000,
  }, async () => {
    const path = '/v1/dashboards/sales/live';
    assert.equal((await send(server.address, 'GET', path)).status, 401);
    assert.equal(codeOf(await send2('GET', '/v1/dashboards/none/live')), 'DASHBOARD_UNKNOWN');
    const { hostname, port } = new URL(server.address);
    const stream = request({ hostname, port, path, headers: { authorization: `Bearer ${server.adminToken}` } });
    let heard = '';
    await new Promise<void>((done, failed) => {
      stream.on('error', failed).on('response', (response) => {
        assert.equal(response.headers['content-type'], 'text/event-stream; charset=utf-8');
        void send2('POST', '/v1/query', { sql: "INSERT INTO main.sales VALUES (now(), 'd', 1, NULL)" });
        response.setEncoding('utf8').on('data', (text: string) => {
          heard += text;
          if (!heard.includes('event: changed')) return;
          done();
        });
      });
      stream.end();
    });
    stream.destroy();
    // The metric is an answer, of which it is not known what it reads; the third tile reads nothing.
    assert.match(heard, /event: changed\ndata: \{"tiles":\[0,1\]\}\n\n/);
  });
});

test('a statement’s parameters become inputs of the type that is cast to', () => {
  const sql = "SELECT $day::DATE, CAST($n AS INTEGER), $ok::BOOLEAN, $at :: TIMESTAMP, $word, '$none', $from";
  assert.deepEqual(inputsOf(sql), [
    { name: 'day', kind: 'date' },
    { name: 'n', kind: 'number' },
    { name: 'ok', kind: 'boolean' },
    { name: 'at', kind: 'instant' },
    { name: 'word', kind: 'text' },
    { name: 'from', kind: 'date' },
  ]);
  assert.deepEqual(valuesFor(inputsOf('SELECT $a, $b'), { a: 'x', b: '' }), { a: 'x', b: null });
});

test('in calls of answers values stand as literals, which no value can leave; what has none is left out', () => {
  const call = "SELECT * FROM answers.metric(metric := 'a,b', by := 'shop', from := $from, to := $last) WHERE shop = $shop";
  assert.deepEqual(asked(call, { from: "x') --", last: '9999-12-31', shop: 'a' }), {
    sql: "SELECT * FROM answers.metric(metric := 'a,b', by := 'shop', from := 'x'') --') WHERE shop = $shop",
    params: { shop: 'a' },
  });
  assert.deepEqual(asked("SELECT '$from' WHERE $from > 1", { from: '1' }), {
    sql: "SELECT '$from' WHERE $from > 1",
    params: { from: '1' },
  });
});
