import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { openLinks } from '#guard';
import type { DashboardAnswer, DashboardVersionsAnswer, LoginAnswer, QueryAnswer, ShareAnswer, SharedAnswer, WhyAnswer } from '#server';
import { millrace, send } from './server.ts';

const yaml = `title: Sales
filters:
  - name: shop
    sql: SELECT DISTINCT shop FROM main.sales
annotations: SELECT DATE '2026-03-01', 'from ' || coalesce($shop, 'all') FROM main.sales LIMIT 1
tiles:
  - title: Sum
    sql: SELECT sum(amount) AS total FROM main.sales WHERE $shop IS NULL OR shop = $shop
  - text: Words
`;

async function shop(t: { after: (fn: () => Promise<void>) => void }) {
  const { address, adminToken, path } = await millrace(t, (folder) => {
    mkdirSync(join(folder, 'dashboards'));
    writeFileSync(join(folder, 'dashboards', 'sales.yaml'), yaml);
  });
  const admin = { authorization: `Bearer ${adminToken}` };
  const sql = "CREATE TABLE main.sales AS SELECT * FROM (VALUES ('a', 1), ('a', 2), ('b', 40)) v(shop, amount)";
  assert.equal((await send(address, 'POST', '/v1/query', admin, { sql })).status, 200);
  const share = async (body: object, who = admin) => {
    const answer = await send(address, 'POST', '/v1/dashboards/sales/share', who, body);
    assert.equal(answer.status, 200, answer.text);
    return answer.json<ShareAnswer>().path.replace('/shared#', '');
  };
  const tile = (link: unknown, at: unknown = 0, more: object = {}) =>
    send(address, 'POST', '/v1/shared/tile', {}, { link, tile: at, ...more });
  return { address, admin, path, share, tile };
}

const codeOf = (answer: { json<T>(): T }) => answer.json<{ error: { code: string } }>().error.code;

describe('a shared dashboard', () => {
  test('is seen without a token, with the filters that were fixed and without its SQL', async (t) => {
    const { address, share, tile } = await shop(t);
    const link = await share({ range: 'all', filters: { shop: 'a' }, days: 1 });
    const seen = await send(address, 'POST', '/v1/shared', {}, { link });
    assert.equal(seen.status, 200, seen.text);
    const { title, filters, tiles } = seen.json<SharedAnswer>();
    assert.deepEqual([title, filters, tiles.map(({ sql }) => sql)], ['Sales', [{ title: 'shop', value: 'a' }], ['', null]]);
    assert.doesNotMatch(seen.text, /main\.sales/);
    assert.deepEqual((await tile(link)).json<QueryAnswer>().rows, [[3]]);
    // What happened is told with the choice that was fixed, too.
    assert.equal(seen.json<SharedAnswer>().annotations, true);
    assert.deepEqual((await tile(link, 'annotations')).json<QueryAnswer>().rows, [['2026-03-01', 'from a']]);
  });

  test('tells what its answers stand on, as far as that is no SQL', async (t) => {
    const { address, admin, path, tile } = await shop(t);
    mkdirSync(join(path, 'segments'), { recursive: true });
    writeFileSync(join(path, 'segments', 'good.yaml'), 'where: net >= 100\n');
    const orders = `CREATE TABLE main.orders AS SELECT * FROM (VALUES ('o1', 'kim', 80), ('o2', 'kim', 40), ('o3', 'lee', 90)) v(order_id, customer_id, amount)
      CROSS JOIN (SELECT TIMESTAMPTZ '2026-01-01 15:00:00Z' AS ordered_at)`;
    assert.equal((await send(address, 'POST', '/v1/query', admin, { sql: orders })).status, 200);
    const tiles = [
      { text: 'Words' },
      { title: 'Good', answer: 'segment', options: { segment: 'good' } },
      { title: 'One', sql: 'SELECT 1' },
    ];
    const made = await send(address, 'PUT', '/v1/dashboards/good', admin, { definition: { title: 'Good', tiles }, version: null });
    assert.equal(made.status, 200, made.text);
    const shared = await send(address, 'POST', '/v1/dashboards/good/share', admin, { range: 'all', days: 1 });
    const link = shared.json<ShareAnswer>().path.replace('/shared#', '');
    const seen = (await send(address, 'POST', '/v1/shared', {}, { link })).json<SharedAnswer>();
    assert.deepEqual(seen.called, [1]);
    const answer = await tile(link, 1, { evidence: true });
    const [told, ...more] = answer.json<QueryAnswer>().evidence!;
    assert.deepEqual([told!.answer, told!.options, more], ['segment', {}, []]);
    assert.match(told!.line, /^orders: 3; orders used: 3; /);
    assert.doesNotMatch(answer.text, /net|rule/);
    // To whoever may see statements the rule is told.
    const asked = { sql: "SELECT * FROM answers.segment(segment := 'good')", evidence: 'only' };
    assert.match((await send(address, 'POST', '/v1/query', admin, asked)).text, /rule: net >= 100/);
    assert.equal((await tile(link, 1)).json<QueryAnswer>().evidence, undefined);
    assert.deepEqual((await tile(link, 2, { evidence: true })).json<QueryAnswer>().evidence, []);
  });

  test('can’t be widened: nothing that its holder sends beside the link counts', async (t) => {
    const { share, tile } = await shop(t);
    const link = await share({ range: 'all', filters: { shop: 'a' }, days: 1 });
    const wide = { params: { shop: null }, filters: {}, values: { shop: 'b' }, sql: 'SELECT 99', choice: { filters: {} } };
    assert.deepEqual((await tile(link, 0, wide)).json<QueryAnswer>().rows, [[3]]);
    for (const at of [1, 2, -1, 0.5, '0', null, '__proto__']) assert.equal(codeOf(await tile(link, at)), 'LINK_TILE', String(at));
    const [body, mark] = link.split('.') as [string, string];
    const content = JSON.parse(Buffer.from(body, 'base64url').toString());
    content.content.choice.filters = {};
    const widened = `${Buffer.from(JSON.stringify(content)).toString('base64url')}.${mark}`;
    assert.equal(codeOf(await tile(widened)), 'LINK_INVALID');
  });

  test('ends with the token of whoever shared it', async (t) => {
    const { address, admin, share, tile } = await shop(t);
    const made = await send(address, 'POST', '/v1/tokens', admin, { name: 'ed', role: 'editor' });
    const link = await share({ days: 1 }, { authorization: `Bearer ${made.json<LoginAnswer>().token}` });
    assert.deepEqual((await tile(link)).json<QueryAnswer>().rows, [[43]]);
    await send(address, 'DELETE', '/v1/tokens/ed', admin);
    assert.equal(codeOf(await tile(link)), 'LINK_INVALID');
    await send(address, 'POST', '/v1/tokens', admin, { name: 'ed', role: 'editor' });
    assert.equal(codeOf(await tile(link)), 'LINK_INVALID', 'a namesake does not bring it back');
  });

  test('is shared by editors alone, for known filters and at most a year', async (t) => {
    const { address, admin } = await shop(t);
    const made = await send(address, 'POST', '/v1/tokens', admin, { name: 'v', role: 'viewer' });
    const viewer = { authorization: `Bearer ${made.json<LoginAnswer>().token}` };
    assert.equal((await send(address, 'POST', '/v1/dashboards/sales/share', viewer, { days: 1 })).status, 403);
    for (const body of [
      { days: 0 },
      { days: 366 },
      { days: 1, range: 'ever' },
      { days: 1, filters: { other: 'x' } },
      { days: 1, filters: { shop: 7 } },
    ])
      assert.equal(codeOf(await send(address, 'POST', '/v1/dashboards/sales/share', admin, body)), 'REQUEST_INVALID', JSON.stringify(body));
    assert.equal(codeOf(await send(address, 'POST', '/v1/dashboards/none/share', admin, { days: 1 })), 'DASHBOARD_UNKNOWN');
  });

  test('does not let anyone try links for long', async (t) => {
    const { tile } = await shop(t);
    const codes = new Set<string>();
    for (let tries = 0; tries < 40; tries++) codes.add(codeOf(await tile(`${'a'.repeat(20)}.${'b'.repeat(43)}`)));
    assert.deepEqual([...codes], ['LINK_INVALID', 'TOKEN_TRIES']);
  });
});

describe('a signed link', () => {
  const folder = (t: { after: (fn: () => void) => void }) => {
    const path = mkdtempSync(join(tmpdir(), 'millrace-links-'));
    t.after(() => rmSync(path, { recursive: true, force: true }));
    return path;
  };

  test('is HMAC-SHA-256 under a key that nobody else may read, and holds over a restart', (t) => {
    const path = folder(t);
    const link = openLinks(path).sign({ a: 1 }, 2_000_000_000_000);
    const [body, mark] = link.split('.');
    const key = Buffer.from(readFileSync(join(path, 'links.key'), 'utf8').trim(), 'base64url');
    assert.equal(key.length, 32);
    assert.equal(statSync(join(path, 'links.key')).mode & 0o777, 0o600);
    assert.equal(mark, createHmac('sha256', key).update(`millrace link 1\n${body}`).digest('base64url'));
    assert.deepEqual(openLinks(path, () => 0).read(link).content, { a: 1 });
    rmSync(join(path, 'links.key'));
    assert.throws(() => openLinks(path, () => 0).read(link), { code: 'LINK_INVALID' });
  });

  test('is refused once its time is over', (t) => {
    const path = folder(t);
    let now = 0;
    const links = openLinks(path, () => now);
    const link = links.sign('x', 1000);
    now = 999;
    assert.equal(links.read(link).content, 'x');
    now = 1000;
    assert.throws(() => links.read(link), { code: 'LINK_EXPIRED' });
  });

  test('with any character changed, added or taken away is refused', (t) => {
    const links = openLinks(folder(t), () => 0);
    const link = links.sign({ dashboard: 'sales' }, 1000);
    fc.assert(
      fc.property(fc.nat(link.length - 1), fc.constantFrom(...'ABCxyz019-_.= %é'), fc.constantFrom(0, 1), (at, sign, taken) => {
        const other = link.slice(0, at) + sign + link.slice(at + taken);
        if (other !== link) assert.throws(() => links.read(other), { code: 'LINK_INVALID' });
      }),
    );
    for (const other of ['', '.', link.slice(0, -1), `${link}\n`, 'x'.repeat(5000)])
      assert.throws(() => links.read(other), { code: 'LINK_INVALID' });
  });
});

describe('why a number is what it is', () => {
  test('names the tables with their batches, the columns that are read, and rows', async (t) => {
    const { address, admin } = await shop(t);
    const ask = (sql: string, params?: object) => send(address, 'POST', '/v1/why', admin, { sql, params });
    const why = await ask(
      'WITH sales2 AS (SELECT * FROM sales) SELECT sum(amount) AS total FROM sales2 WHERE shop = $shop -- raw.other\n;',
      { shop: 'a' },
    );
    assert.equal(why.status, 200, why.text);
    const { columns, tables } = why.json<WhyAnswer>();
    assert.deepEqual(
      columns.map(({ name }) => name),
      ['total'],
    );
    assert.equal(tables.length, 1);
    const [table] = tables;
    assert.deepEqual([table!.table, table!.rows, table!.columns, table!.batches?.count], ['main.sales', 3, ['shop', 'amount'], 1]);
    assert.deepEqual(table!.sample?.rows.length, 3);
  });

  test('of one row: what makes each column, and the rows behind it, as many as its figures count', async (t) => {
    const { address, admin } = await shop(t);
    const sql =
      'SELECT upper(shop) AS shop, count(*) AS n, sum(amount) AS total FROM main.sales WHERE amount < $most GROUP BY 1 ORDER BY 2 DESC';
    const params = { most: 1e6 };
    const { rows, columns } = (await send(address, 'POST', '/v1/query', admin, { sql, params })).json<QueryAnswer>();
    assert.ok(rows.length > 1);
    let counted = 0;
    for (const cells of rows) {
      const row = Object.fromEntries(columns.map(({ name }, at) => [name, cells[at]]));
      const { made, behind } = (await send(address, 'POST', '/v1/why', admin, { sql, params, row })).json<WhyAnswer>();
      assert.deepEqual(
        made.map(({ name, reads }) => [name, reads]),
        [
          ['shop', ['shop']],
          ['n', []],
          ['total', ['amount']],
        ],
      );
      assert.match(made[2]!.sql, /sum\(amount\)/i);
      assert.equal(behind!.rows, cells[1]);
      const at = behind!.columns.findIndex(({ name }) => name === 'shop');
      assert.ok(behind!.sample.every((each) => String(each[at]).toUpperCase() === cells[0]));
      counted += behind!.rows;
    }
    assert.equal(counted, 3, 'each row of the table stands behind one row of the result');
  });

  test('a value of a row is a value: it reaches no further than the rows that have it', async (t) => {
    const { address, admin } = await shop(t);
    const ask = (row: unknown, sql = 'SELECT shop, count(*) AS n FROM main.sales GROUP BY 1') =>
      send(address, 'POST', '/v1/why', admin, { sql, row });
    for (const shop of ["' OR 1 = 1 --", "a') UNION SELECT 1 --", null])
      assert.equal((await ask({ shop, n: 1 })).json<WhyAnswer>().behind!.rows, 0, String(shop));
    // A mark of a chart may stand for fewer columns than the result has.
    const both = 'SELECT shop, amount > 1 AS more, count(*) AS n FROM main.sales GROUP BY ALL';
    assert.deepEqual(
      await Promise.all(
        [{ shop: 'a' }, { more: true }, { shop: 'a', more: true }, {}].map(
          async (row) => (await ask(row, both)).json<WhyAnswer>().behind!.rows,
        ),
      ),
      [2, 2, 1, 3],
    );
    assert.equal(codeOf(await ask([1])), 'QUERY_BODY');
    assert.equal(codeOf(await ask({ shop: { a: 1 } })), 'QUERY_BODY');
    // What has no rows of its own to show says so.
    assert.equal((await ask({ n: 3 }, 'SELECT 3 AS n UNION SELECT 4')).json<WhyAnswer>().behind, null);
  });

  describe('of an answer, a metric and a model', () => {
    async function more(t: Parameters<typeof shop>[0]) {
      const { address, admin, path } = await shop(t);
      mkdirSync(join(path, 'metrics'), { recursive: true });
      writeFileSync(join(path, 'metrics', 'revenue.yaml'), 'expression: sum(amount)\ntable: main.sales\ndimensions: [shop]\n');
      const ask = async (sql: string, rest: object = {}) => {
        const answer = await send(address, 'POST', '/v1/why', admin, { sql, ...rest });
        assert.equal(answer.status, 200, answer.text);
        return answer.json<WhyAnswer>();
      };
      const run = async (sql: string) => {
        const answer = await send(address, 'POST', '/v1/query', admin, { sql });
        assert.equal(answer.status, 200, answer.text);
        return answer.json<QueryAnswer>();
      };
      return { ask, run };
    }

    test('an answer is opened: what makes its columns, the rows behind each, its tables', async (t) => {
      const { ask, run } = await more(t);
      const sql = "SELECT * FROM answers.metric(metric := 'revenue', by := 'shop')";
      assert.deepEqual((await run(sql)).rows, [
        ['a', 3],
        ['b', 40],
      ]);
      const whole = await ask(sql);
      assert.deepEqual(
        whole.made.map(({ name, reads }) => [name, reads]),
        [
          ['shop', ['shop']],
          ['value', ['amount']],
        ],
      );
      assert.deepEqual(
        whole.tables.map(({ table, columns, of }) => [table, columns, of]),
        [['main.sales', ['shop', 'amount'], null]],
      );
      assert.match(whole.sql, /^SELECT \* FROM \(\nSELECT "shop" AS "shop", sum\(amount\) AS value\nFROM "main"\."sales"/);
      assert.deepEqual([whole.behind, whole.untold], [null, null]);
      const { behind } = await ask(`${sql} ORDER BY value LIMIT 5`, { row: { shop: 'a', value: 3 } });
      assert.deepEqual(behind!.sample.toSorted(), [
        ['a', 1],
        ['a', 2],
      ]);
      // Of what is asked of an answer's rows, these are what stands behind.
      const above = await ask(`SELECT max(value) AS most FROM answers.metric(metric := 'revenue', by := 'shop')`, { row: { most: 40 } });
      assert.equal(above.behind!.rows, 2);
      const narrowed = await ask(`${sql} WHERE shop = 'a'`, { row: { value: 3 } });
      assert.deepEqual([narrowed.behind, narrowed.untold, narrowed.tables.length], [null, 'statement', 1]);
    });

    test('a model is told with what it learned from; its figures stand on no rows, its predictions on theirs', async (t) => {
      const { ask, run } = await more(t);
      await run('CREATE TABLE main.points AS SELECT i % 40 AS x, 2 * (i % 40) AS y FROM range(400) r(i)');
      const learned =
        "CREATE MODEL main.line OPTIONS (model_type = 'LINEAR_REG', input_label_cols = ['y']) AS SELECT x, y FROM main.points";
      await run(learned);
      const sql = 'SELECT * FROM ML.EVALUATE(MODEL line)';
      const row = { mean_absolute_error: 0 };
      const scores = await ask(sql, { row });
      const [model, ...none] = scores.models;
      assert.deepEqual([model!.model, model!.version, model!.rows, model!.by, none], ['main.line', 1, 400, 'local', []]);
      assert.match(model!.query, /FROM main\.points$/);
      assert.deepEqual(
        scores.tables.map(({ table, of, sample }) => [table, of, sample?.rows.length]),
        [['main.points', 'main.line', 5]],
      );
      assert.deepEqual([scores.behind, scores.untold, scores.called], [null, 'model', ['ml.evaluate']]);
      const importance = await ask('SELECT feature, importance FROM ML.FEATURE_IMPORTANCE(MODEL main.line)', { row: { feature: 'x' } });
      assert.deepEqual(
        [importance.made.map(({ name }) => name), importance.behind, importance.untold],
        [['feature', 'importance'], null, 'model'],
      );
      const predicted = `SELECT shop, round(sum(predicted_y)) AS y
        FROM ML.PREDICT(MODEL main.line, (SELECT shop, amount AS x FROM main.sales WHERE amount < $1)) WHERE x > $2 GROUP BY shop`;
      const told = await ask(predicted, { params: [1000, 0], row: { shop: 'a', y: 6 } });
      assert.deepEqual([told.behind?.rows, told.untold], [2, null]);
      assert.ok(told.behind!.columns.some(({ name }) => name === 'predicted_y'));
      assert.deepEqual(
        told.tables.map(({ table, of }) => [table, of]),
        [
          ['main.sales', null],
          ['main.points', 'main.line'],
        ],
      );
    });

    test('rows that can’t be taken by themselves are said to be none', async (t) => {
      const { ask } = await more(t);
      const having = 'SELECT shop, count(*) AS n FROM main.sales GROUP BY 1 HAVING count(*) > $least';
      assert.equal((await ask(having, { params: { least: 1 }, row: { shop: 'a' } })).behind?.rows, 2);
      const union = await ask('SELECT 3 AS n UNION SELECT 4', { row: { n: 3 } });
      assert.deepEqual([union.behind, union.untold], [null, 'statement']);
    });
  });

  test('shows whoever may read only a part of it that part, and names the rest', async (t) => {
    const { address, admin, path } = await shop(t);
    const run = (sql: string, who = admin) => send(address, 'POST', '/v1/query', who, { sql });
    const view = 'CREATE MATERIALIZED VIEW mart.shops AS SELECT shop, sum(amount) AS total FROM main.sales GROUP BY shop';
    const made = await run(view);
    assert.equal(made.status, 200, made.text);
    const { token } = (await send(address, 'POST', '/v1/tokens', admin, { name: 'partner', role: 'viewer' })).json<LoginAnswer>();
    const partner = { authorization: `Bearer ${token}` };
    const ask = async (sql: string, who = partner) =>
      (await send(address, 'POST', '/v1/why', who, { sql, row: { shop: 'a' } })).json<WhyAnswer>();
    const sql = 'SELECT shop, sum(total) AS total FROM mart.shops GROUP BY shop';
    const names = ({ tables }: WhyAnswer) => tables.map(({ table }) => table);
    const whole = await ask(sql);
    assert.deepEqual([names(whole), whole.withheld], [['mart.shops', 'main.sales'], []]);
    mkdirSync(join(path, 'grants'), { recursive: true });
    writeFileSync(join(path, 'grants', 'partner.yaml'), "token: partner\nread: ['mart.*']\n");
    const part = await ask(sql);
    assert.deepEqual([names(part), part.withheld], [['mart.shops'], ['main.sales']]);
    assert.deepEqual([part.behind?.rows, part.tables[0]!.sample?.rows.length], [1, 2]);
    assert.equal(part.tables[0]!.view?.state, whole.tables[0]!.view?.state);
    assert.deepEqual(names(await ask('SELECT shop, total FROM mart.shops JOIN main.sales USING (shop)', admin)), [
      'mart.shops',
      'main.sales',
    ]);
    // Who names a table that is not his learns no more than from the query itself; a word that only looks like it names nothing.
    const refused = await run('SELECT * FROM main.sales', partner);
    assert.equal(codeOf(refused), codeOf(await send(address, 'POST', '/v1/why', partner, { sql: 'SELECT * FROM main.sales' })));
    assert.deepEqual((await ask('SELECT shop, total, 1 AS sales FROM mart.shops')).withheld, ['main.sales']);
    assert.deepEqual((await ask(sql, admin)).withheld, []);
  });

  test('only asks: a statement that changes something is refused and changes nothing', async (t) => {
    const { address, admin } = await shop(t);
    for (const sql of [
      'DELETE FROM main.sales',
      'SELECT 1) ; DELETE FROM main.sales; SELECT * FROM (SELECT 1',
      'CREATE TABLE main.x AS SELECT 1',
    ]) {
      const answer = await send(address, 'POST', '/v1/why', admin, { sql });
      assert.ok(answer.status >= 400, sql);
    }
    const left = await send(address, 'POST', '/v1/query', admin, { sql: 'SELECT count(*) FROM main.sales' });
    assert.deepEqual(left.json<QueryAnswer>().rows, [[3]]);
    assert.equal((await send(address, 'POST', '/v1/why', {}, { sql: 'SELECT 1' })).status, 401);
    assert.equal(codeOf(await send(address, 'POST', '/v1/why', admin, { sql: 7 })), 'QUERY_BODY');
  });
});

describe('versions of a dashboard', () => {
  test('what was there before, on disk too, can be read again; a definition keeps the file’s comments', async (t) => {
    const { address, admin, path } = await shop(t);
    const file = join(path, 'dashboards', 'sales.yaml');
    writeFileSync(file, `# by hand\n${yaml}`);
    const url = '/v1/dashboards/sales';
    const got = await send(address, 'GET', url, admin);
    const { version } = got.json<DashboardAnswer>();
    assert.equal(got.headers['etag'], `"${version}"`);
    const definition = { title: 'Sales 2', tiles: [{ sql: 'SELECT 1 AS n', title: 'One' }] };
    const saved = await send(address, 'PUT', url, { ...admin, 'if-match': `"${version}"` }, { definition });
    assert.equal(saved.status, 200, saved.text);
    assert.match(readFileSync(file, 'utf8'), /^# by hand\ntitle: Sales 2\n/);
    assert.equal((await send(address, 'PUT', url, { ...admin, 'if-match': `"${version}"` }, { definition })).status, 409);
    const { versions } = (await send(address, 'GET', `${url}/versions`, admin)).json<DashboardVersionsAnswer>();
    assert.deepEqual(
      versions.map(({ by }) => by),
      ['local', 'file'],
    );
    const old = await send(address, 'GET', `${url}/versions/${versions[1]!.version}`, admin);
    assert.equal(old.json<DashboardAnswer>().text, `# by hand\n${yaml}`);
    assert.equal(codeOf(await send(address, 'GET', `${url}/versions/..%2f..%2fguard`, admin)), 'DASHBOARD_VERSION');
  });

  test('a definition that can’t be taken is refused like a file', async (t) => {
    const { address, admin } = await shop(t);
    const put = (definition: unknown) => send(address, 'PUT', '/v1/dashboards/new', admin, { definition, version: null });
    for (const definition of [
      null,
      7,
      [],
      {},
      { title: 'x', tiles: [] },
      { title: 'x', tiles: [{ sql: 'SELECT $no' }] },
      { title: { a: 1 }, tiles: 1 },
    ]) {
      assert.match(codeOf(await put(definition)), /^DEFINITION_/, JSON.stringify(definition));
    }
  });
});
