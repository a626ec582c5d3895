import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { type Running, running } from '../server/fixture.ts';

describe('grants narrow what tokens and roles read and write', () => {
  const clean: (() => unknown)[] = [];
  let server: Running;
  let partner: string;
  let viewer: string;
  let maker: string;
  let folder: string;
  before(async () => {
    server = await running({ after: (fn: unknown) => void clean.push(fn as () => unknown) }, { topics: { orders: '{}' } });
    folder = join(server.path, 'grants');
    mkdirSync(folder, { recursive: true });
    for (const sql of [
      'CREATE SCHEMA IF NOT EXISTS mart',
      'CREATE TABLE mart.sales AS SELECT 1 AS amount',
      "CREATE TABLE mart.people AS SELECT 'kim' AS name",
      'CREATE VIEW mart.both AS SELECT * FROM mart.sales, mart.people',
      'CREATE VIEW mart.deep AS SELECT amount FROM mart.both',
      'CREATE VIEW mart.plain AS SELECT amount FROM mart.sales',
    ])
      assert.ok(Array.isArray(await server.ask(sql)), sql);
    const token = async (name: string, role: string) =>
      ((await server.call('POST', '/v1/tokens', { body: { name, role } })).json as { token: string }).token;
    [partner, viewer, maker] = [await token('partner', 'viewer'), await token('other', 'viewer'), await token('maker', 'editor')];
  });
  beforeEach(() => {
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
  });
  after(async () => {
    for (const fn of clean.reverse()) await fn();
  });
  const grant = (name: string, text: string) => writeFileSync(join(folder, `${name}.yaml`), text);

  test('a token reads what its file names, through views, subqueries and DESCRIBE too; a role without a file reads as before', async () => {
    grant('partner', 'token: partner\nread: [mart.sales, mart.plain, mart.both, mart.deep]\n');
    assert.deepEqual(await server.ask('SELECT * FROM mart.sales', {}, partner), [[1]]);
    assert.deepEqual(await server.ask('SELECT * FROM mart.plain', {}, partner), [[1]]);
    for (const sql of [
      'SELECT * FROM mart.people',
      'SELECT * FROM MART."People"',
      'SELECT (SELECT count(*) FROM mart.people)',
      'WITH people AS (SELECT * FROM mart.people) SELECT * FROM people',
      'SELECT * FROM mart.sales WHERE EXISTS (FROM mart.people)',
      'SELECT * FROM mart.both',
      'SELECT * FROM mart.deep',
      'DESCRIBE mart.people',
      'SUMMARIZE mart.deep',
      'EXPLAIN ANALYZE SELECT * FROM mart.deep',
      'SELECT * FROM raw.orders',
    ])
      assert.equal(await server.ask(sql, {}, partner), 'SQL_TABLE', sql);
    assert.deepEqual(await server.ask('SELECT * FROM mart.deep', {}, viewer), [[1]]);
  });

  test('the token’s file counts before its role’s, an edit counts from the next question on, and an admin reads all', async () => {
    grant('viewers', 'role: viewer\nread: []\n');
    grant('partner', "token: partner\nread: ['mart.*']\n");
    assert.equal(await server.ask('SELECT * FROM mart.sales', {}, viewer), 'SQL_TABLE');
    assert.deepEqual(await server.ask('SELECT * FROM mart.deep', {}, partner), [[1]]);
    grant('viewers', 'role: viewer\nread: [mart.sales]\n');
    assert.deepEqual(await server.ask('SELECT * FROM mart.sales', {}, viewer), [[1]]);
    assert.deepEqual(await server.ask('SELECT name FROM mart.people'), [['kim']]);
  });

  test('what a model is asked about counts as read: a table, a view over it, and a question in its place', async () => {
    const made = await server.ask(
      "CREATE MODEL shy OPTIONS (model_type = 'LINEAR_REG', input_label_cols = ['y']) AS SELECT i % 40 AS x, 2 * (i % 40) AS y FROM range(400) r(i)",
    );
    assert.ok(Array.isArray(made), String(made));
    assert.ok(Array.isArray(await server.ask('CREATE TABLE main.secret AS SELECT 1 AS x')));
    assert.ok(Array.isArray(await server.ask('CREATE VIEW main.above AS SELECT x FROM main.secret')));
    grant('partner', 'token: partner\nread: [main.above, mart.sales]\n');
    for (const input of ['TABLE main.above', 'TABLE main.secret', '(SELECT x FROM main.above)', '(SELECT count(*) AS x FROM main.secret)'])
      assert.equal(await server.ask(`SELECT * FROM ML.PREDICT(MODEL shy, ${input})`, {}, partner), 'SQL_TABLE', input);
    const own = await server.ask('SELECT round(predicted_y) FROM ML.PREDICT(MODEL shy, (SELECT amount AS x FROM mart.sales))', {}, partner);
    assert.deepEqual(own, [[2]]);
  });

  test('an editor makes and changes only what the file says; what it would read on the way counts', async () => {
    grant('maker', "token: maker\nread: [mart.sales, 'lab.*']\nwrite: ['lab.*']\n");
    assert.equal(await server.ask('CREATE SCHEMA other', {}, maker), 'SQL_WRITE');
    assert.ok(Array.isArray(await server.ask('CREATE SCHEMA lab', {}, maker)));
    assert.ok(Array.isArray(await server.ask('CREATE TABLE lab.x AS SELECT * FROM mart.sales', {}, maker)));
    for (const [sql, code] of [
      ['CREATE TABLE lab.y AS SELECT * FROM mart.people', 'SQL_TABLE'],
      ['CREATE VIEW lab.y AS SELECT * FROM mart.deep', 'SQL_TABLE'],
      ['CREATE MATERIALIZED VIEW lab.y AS SELECT * FROM mart.people', 'SQL_TABLE'],
      ['INSERT INTO lab.x SELECT count(*) FROM mart.people', 'SQL_TABLE'],
      ['UPDATE lab.x SET amount = (SELECT count(*) FROM mart.people)', 'SQL_TABLE'],
      ['DELETE FROM mart.sales', 'SQL_WRITE'],
      ['CREATE OR REPLACE TABLE mart.sales AS SELECT 2', 'SQL_WRITE'],
      ['DROP TABLE mart.people', 'SQL_WRITE'],
    ] as const)
      assert.equal(await server.ask(sql, {}, maker), code, sql);
  });

  test('a view’s bare name means the table of main, whatever stands beside the view then or later', async () => {
    grant('maker', "token: maker\nread: [main.pay, 'lab.v', 'lab.w']\nwrite: ['lab.*']\n");
    for (const sql of [
      'CREATE SCHEMA IF NOT EXISTS lab',
      "CREATE TABLE main.pay AS SELECT 'harmless' AS x",
      "CREATE TABLE lab.pay AS SELECT 'secret' AS x",
    ])
      assert.ok(Array.isArray(await server.ask(sql)), sql);
    assert.ok(Array.isArray(await server.ask('CREATE VIEW lab.v AS SELECT * FROM pay', {}, maker)));
    assert.deepEqual(await server.ask('SELECT * FROM lab.v', {}, maker), [['harmless']]);
  });

  test('a file that can’t be taken, and two for the same, let only admins read, and say which file', async () => {
    for (const text of [
      'token: partner\nread: [mart]\n',
      'read: [mart.sales]\n',
      'role: admin\nread: []\n',
      'token: partner\n',
      'role: [',
      '',
    ]) {
      grant('partner', text);
      assert.equal(await server.ask('SELECT 1', {}, viewer), 'GRANTS_BROKEN', text);
      assert.deepEqual(await server.ask('SELECT 1'), [[1]]);
    }
    rmSync(join(folder, 'partner.yaml'));
    assert.deepEqual(await server.ask('SELECT 1', {}, viewer), [[1]]);
    for (const stray of ['other.yml', 'other.YAML', 'other']) {
      writeFileSync(join(folder, stray), 'token: other\nread: []\n');
      assert.equal(await server.ask('SELECT 1', {}, viewer), 'GRANTS_BROKEN', stray);
      rmSync(join(folder, stray));
    }
    writeFileSync(join(folder, 'README.md'), 'Who reads what.');
    assert.deepEqual(await server.ask('SELECT 1', {}, viewer), [[1]]);
    grant('partner', 'token: partner\nread: []\n');
    grant('again', 'token: partner\nread: []\n');
    const { text } = await server.call('POST', '/v1/query', { token: viewer, body: { sql: 'SELECT 1' } });
    assert.match(text, /grants\/partner\.yaml is a second file for partner/);
  });

  test('the catalog lists what the asker may read, and why a statement is refused is told without naming other tables', async () => {
    grant('partner', 'token: partner\nread: [mart.sales]\n');
    const listed = async (token?: string) =>
      (
        (await server.call('GET', '/v1/catalog', token === undefined ? {} : { token })).json as {
          tables: { schema: string; name: string }[];
        }
      ).tables
        .map(({ schema, name }) => `${schema}.${name}`)
        .filter((name) => name.startsWith('mart.'));
    assert.deepEqual(await listed(partner), ['mart.sales']);
    assert.deepEqual((await listed()).sort(), ['mart.both', 'mart.deep', 'mart.people', 'mart.plain', 'mart.sales']);
    const rows = (await server.ask('SELECT * FROM mart.peopl', { explain_refusal: true }, partner)) as [string, string][];
    assert.equal(
      rows.some(([, detail]) => detail.includes('mart.people')),
      false,
    );
  });

  test('a link to a dashboard reads no more than the role of its maker may', async () => {
    const dashboard = 'title: People\ntiles:\n  - title: all\n    sql: SELECT name FROM mart.people\n';
    assert.equal((await server.call('PUT', '/v1/dashboards/people', { token: maker, body: { text: dashboard } })).status, 200);
    const shown = async () => {
      const { path } = (await server.call('POST', '/v1/dashboards/people/share', { token: maker, body: {} })).json as { path: string };
      const body = { link: path.split('#')[1], tile: 0 };
      const answer = await server.call('POST', '/v1/shared/tile', { token: null, body });
      return answer.code ?? (answer.json as { rows: unknown[][] }).rows;
    };
    assert.deepEqual(await shown(), [['kim']]);
    grant('editors', 'role: editor\nread: [mart.sales]\n');
    assert.equal(await shown(), 'SQL_TABLE');
    grant('viewers', "role: viewer\nread: ['mart.*']\n");
    assert.equal(await shown(), 'SQL_TABLE');
    grant('editors', "role: editor\nread: ['mart.*']\n");
    assert.deepEqual(await shown(), [['kim']]);
    grant('viewers', 'role: viewer\nread: [mart.sales]\n');
    assert.equal(await shown(), 'SQL_TABLE');
  });

  test('Millrace’s own tables that hold rows of others, or quote them, are read where a file names them', async () => {
    grant('partner', 'token: partner\nread: [mart.sales]\n');
    for (const table of ['late', 'audit', 'pause', 'query_run', 'transfer', 'transfer_hold', 'transfer_run'])
      assert.equal(await server.ask(`SELECT * FROM millrace.${table}`, {}, partner), 'SQL_TABLE', table);
    assert.ok(Array.isArray(await server.ask('SELECT * FROM millrace.batch', {}, partner)));
    assert.ok(Array.isArray(await server.ask('SELECT * FROM millrace.late', {}, viewer)));
    grant('partner', 'token: partner\nread: [millrace.late]\n');
    assert.deepEqual(await server.ask('SELECT * FROM millrace.late', {}, partner), []);
  });

  test('what a file says of writing holds for loads, files that are dropped, runs of transfers and ready-made views too', async () => {
    grant('maker', "token: maker\nread: [mart.sales, 'lab.*']\nwrite: ['lab.*']\n");
    const load = (table: string, mode: string) =>
      server.call('POST', `/v1/load/${table}?format=csv&mode=${mode}`, { token: maker, body: 'amount\n7\n' });
    for (const table of ['mart.sales', 'people', 'mart.fresh']) assert.equal((await load(table, 'replace')).code, 'SQL_WRITE', table);
    assert.equal((await load('lab.loaded', 'create')).status, 200);
    const { upload } = (await server.call('POST', '/v1/uploads?name=a.csv', { token: maker, body: 'amount\n8\n' })).json as {
      upload: string;
    };
    const into = (table: string) =>
      server
        .call('POST', `/v1/uploads/${upload}/load`, { token: maker, body: { table, mode: 'append' } })
        .then(({ code, status }) => code ?? status);
    assert.equal(await into('mart.sales'), 'SQL_WRITE');
    assert.equal(await into('lab.dropped'), 200);
    const definition = 'source: csv\nconnection: { path: a.csv }\ntables:\n  a: { target: mart.sales, mode: full }\n';
    writeFileSync(join(server.path, 'a.csv'), 'amount\n9\n');
    assert.equal((await server.call('PUT', '/v1/transfers/daily', { body: { definition } })).status, 200);
    assert.equal((await server.call('POST', '/v1/transfers/daily/run', { token: maker })).code, 'SQL_WRITE');
    assert.equal(
      (await server.call('PUT', '/v1/transfers/daily/state', { token: maker, body: { table: 'a', cursor: null } })).code,
      'SQL_WRITE',
    );
    const sessions = { topic: 'orders', rule: 'ga4', schema: 'lab' };
    const made = await server.call('POST', '/v1/views/sessions', { token: maker, body: sessions });
    assert.equal(made.code, 'SQL_TABLE');
    grant('maker', "token: maker\nread: ['mart.people']\n");
    assert.equal((await server.call('GET', '/v1/transfers/daily/preview', { token: maker })).code, 'SQL_TABLE');
    assert.deepEqual(await server.ask('SELECT * FROM mart.sales'), [[1]]);
  });

  test('why a view or a scheduled query failed quotes no value to who may not read it', async () => {
    for (const sql of [
      "CREATE OR REPLACE TABLE mart.codes AS SELECT '1' AS code",
      'CREATE MATERIALIZED VIEW mart.coded AS SELECT CAST(code AS INTEGER) AS n FROM mart.codes',
      "INSERT INTO mart.codes VALUES ('kim@example.com')",
      "CREATE SCHEDULED QUERY mart.nightly OPTIONS (cron = '0 3 * * *') AS SELECT CAST(code AS INTEGER) AS n FROM mart.codes",
    ])
      assert.ok(Array.isArray(await server.ask(sql)), sql);
    await server.ask('REFRESH MATERIALIZED VIEW mart.coded');
    await server.ask('RUN SCHEDULED QUERY mart.nightly');
    const told = async (token?: string) =>
      JSON.stringify([
        (await server.call('GET', '/v1/views', token === undefined ? {} : { token })).text,
        await server.ask('SHOW MATERIALIZED VIEWS', {}, token),
        await server.ask('SHOW SCHEDULED QUERIES', {}, token),
      ]);
    assert.equal((await told()).match(/kim@example.com/g)?.length, 4);
    grant('partner', 'token: partner\nread: [mart.coded]\n');
    assert.doesNotMatch(await told(partner), /kim@/);
    grant('partner', 'token: partner\nread: [mart.coded, mart.codes]\n');
    assert.match(await told(partner), /kim@/);
    const run = async (token?: string) => {
      const body = { sql: 'RUN SCHEDULED QUERY mart.nightly' };
      return (await server.call('POST', '/v1/query', token === undefined ? { body } : { token, body })).text;
    };
    assert.match(await run(), /"SCHEDULE_QUERY".*kim@/);
    grant('maker', "token: maker\nread: [mart.coded]\nwrite: ['mart.*']\n");
    assert.match(await run(maker), /"GRANTS_UNTOLD".*SCHEDULE_QUERY/);
    assert.doesNotMatch(await run(maker), /kim@/);
  });

  test('quarantine is told by topics that may be read', async () => {
    await server.send('orders', '[1]');
    await server.delivered();
    const seen = async (path: string) => (await server.call('GET', `/v1/quarantine${path}`, { token: maker })).text;
    assert.match(await seen(''), /orders/);
    grant('maker', 'token: maker\nread: [mart.sales]\n');
    for (const path of ['', '/counts', '?topic=orders']) assert.doesNotMatch(await seen(path), /orders/);
    grant('maker', 'token: maker\nread: [raw.orders]\n');
    for (const path of ['', '/counts', '?topic=orders']) assert.match(await seen(path), /orders/);
  });

  test('--explain-refusal refuses what a model may not be asked, as the question itself would be', async () => {
    grant('partner', 'token: partner\nread: [mart.sales]\n');
    for (const input of [
      'TABLE mart.people',
      '(SELECT * FROM ML.PREDICT(MODEL any, (SELECT * FROM mart.people)))',
      "(SELECT getenv('x'))",
    ]) {
      const sql = `SELECT * FROM ML.PREDICT(MODEL any, ${input})`;
      const rows = (await server.ask(sql, { explain_refusal: true }, partner)) as [string, string][];
      assert.match(rows[0]![1], /^refused: /, sql);
    }
    const fine = await server.ask('SELECT * FROM ML.PREDICT(MODEL any, TABLE mart.sales)', { explain_refusal: true }, partner);
    assert.deepEqual((fine as string[][])[0], ['verdict', 'allowed']);
  });

  test('no schema gets the name by which the engine knows the file', async () => {
    assert.equal(await server.ask('CREATE SCHEMA warehouse'), 'SQL_WRITE');
    assert.equal((await server.call('POST', '/v1/load/warehouse.x?format=csv&mode=create', { body: 'a\n1\n' })).code, 'TABLE_NAME');
  });
});

test('what another program put into the warehouse file is not read through: macros under allowed names, bare names of a view, the catalog', async (t) => {
  const server = await running(t, { topics: { orders: '{}' } });
  assert.deepEqual(await server.ask("SELECT upper('a')"), [['A']]);
  const { token } = (await server.call('POST', '/v1/tokens', { body: { name: 'reader', role: 'viewer' } })).json as { token: string };
  await server.started.stop();
  const instance = await DuckDBInstance.create(join(server.path, '.millrace', 'warehouse.duckdb'));
  const connection = await instance.connect();
  await connection.run(`
    CREATE SCHEMA lab;
    CREATE MACRO main.upper(x) AS (SELECT any_value(body) FROM millrace.quarantine);
    CREATE VIEW main.loud AS SELECT upper('a') AS a;
    CREATE VIEW main.quiet AS SELECT lower('A') AS a;
    CREATE VIEW main.tables AS SELECT table_name FROM duckdb_tables;
    CREATE TABLE main.pay AS SELECT 'harmless' AS x;
    CREATE TABLE lab.pay AS SELECT 'secret' AS x;
    CREATE VIEW lab.v AS SELECT * FROM pay;
    CREATE VIEW main.v AS SELECT * FROM pay`);
  connection.closeSync();
  instance.closeSync();
  mkdirSync(join(server.path, 'grants'), { recursive: true });
  writeFileSync(join(server.path, 'grants', 'reader.yaml'), "token: reader\nread: ['main.*', lab.v]\n");
  const again = await running(t, { path: server.path });
  assert.equal(await again.ask("SELECT upper('a')"), 'SQL_FUNCTION');
  assert.deepEqual(await again.ask("SELECT lower('A')"), [['a']]);
  for (const own of [undefined, token]) {
    assert.equal(await again.ask('SELECT * FROM loud', {}, own), 'SQL_TABLE');
    assert.equal(await again.ask('SELECT * FROM tables', {}, own), 'SQL_TABLE');
    assert.deepEqual(await again.ask('SELECT * FROM quiet', {}, own), [['a']]);
    assert.deepEqual(await again.ask('SELECT * FROM v', {}, own), [['harmless']]);
  }
  assert.deepEqual(await again.ask('SELECT * FROM lab.v'), [['secret']]);
  assert.equal(await again.ask('SELECT * FROM lab.v', {}, token), 'SQL_TABLE');
});
