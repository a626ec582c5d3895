import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { millrace } from '../cli/fixture.ts';
import { running, until } from '../server/fixture.ts';

const events = `id: id
time: { field: ts, unit: iso }
fields:
  visitor_id: { type: text }
  event: { type: text }
  url: { type: text }
`;
const START = Date.parse('2026-03-01T00:00:00Z');
/** Two visitors, an event each 20 minutes; the second one's third comes after a pause of 40. */
const minutes: readonly [string, number][] = [
  ...[0, 20, 40, 60].map((minute): [string, number] => ['a', minute]),
  ...[0, 20, 60].map((minute): [string, number] => ['b', minute]),
];

test('a user gets sessions, their explanation, scheduled queries and the blast radius over HTTP', async (t) => {
  const server = await running(t, { topics: { events } });
  const records = minutes.map(([visitor, minute], k) => ({
    id: `e${k}`,
    ts: new Date(START + minute * 60_000).toISOString(),
    visitor_id: visitor,
    event: 'page_view',
    url: `/${k}`,
  }));
  await server.send('events', records.slice(0, 5));
  await server.delivered();
  const asked = { topic: 'events', rule: 'ga4' };
  const sessions = (body: object, token?: string) =>
    server.call('POST', '/v1/views/sessions', { body, ...(token !== undefined && { token }) });

  const viewer = await server.token('viewer');
  assert.equal((await sessions(asked, viewer)).code, 'NOT_ALLOWED');
  for (const body of [{ topic: 'events' }, { ...asked, topic: '../x' }, { ...asked, colour: 'red' }, { ...asked, fields: ['user'] }])
    assert.equal((await sessions(body)).code, 'REQUEST_INVALID', JSON.stringify(body));
  assert.equal((await sessions({ ...asked, rule: 'ga3' })).code, 'VIEW_SESSIONS');
  assert.equal((await sessions({ ...asked, fields: { user: 'nobody' } })).code, 'VIEW_SESSIONS');
  assert.equal((await sessions({ ...asked, topic: 'nothing' })).code, 'TOPIC_UNKNOWN');

  const shown = (await sessions(asked)).json as { views: { name: string }[]; fields: Record<string, string>; written: boolean };
  assert.deepEqual(shown.fields, { anonymous: 'visitor_id', event: 'event', page: 'url' });
  assert.equal(existsSync(join(server.path, 'views', 'mart.sessions.sql')), false);
  assert.equal(((await sessions({ ...asked, write: true })).json as typeof shown).written, true);
  for (const { name } of shown.views) assert.ok(existsSync(join(server.path, 'views', `${name}.sql`)), name);
  assert.equal((await sessions({ ...asked, rule: 'posthog', write: true })).code, 'VIEW_EXISTS');

  await server.send('events', records.slice(5));
  await until(async () => JSON.stringify(await server.ask('SELECT count(*) FROM mart.sessions')) === '[[3]]');
  const counted = await server.ask('SELECT person, count(*) FROM mart.sessions GROUP BY 1 ORDER BY 1');
  assert.deepEqual(counted, [
    ['a', 1],
    ['b', 2],
  ]);

  const explained = await server.ask('EXPLAIN MATERIALIZED VIEW mart.sessions', {}, viewer);
  assert.deepEqual((explained as unknown[][])[0], ['kept', 'by partition person']);
  assert.match((await server.call('GET', '/metrics')).text, /millrace_view_paused\{view="mart\.sessions"\} 0/);
  const { audited } = (await server.call('POST', '/v1/views/mart.sessions/audit')).json as { audited: { differences: number } };
  assert.equal(audited.differences, 0);
  assert.equal((await server.call('POST', '/v1/views/mart.sessions/cancel')).code, 'VIEW_UNKNOWN');

  await server.ask(
    `CREATE SCHEDULED QUERY mart.per_person OPTIONS (cron = '0 6 * * *') AS SELECT person, count(*) AS n FROM mart.sessions GROUP BY 1`,
  );
  await server.ask('RUN SCHEDULED QUERY mart.per_person');
  assert.deepEqual(await server.ask('SELECT person, n FROM mart.per_person ORDER BY 1'), counted);
  const [scheduled] = (await server.ask('SHOW SCHEDULED QUERIES')) as unknown[][];
  assert.deepEqual(scheduled!.slice(0, 5), ['mart.per_person', '0 6 * * *', 'Asia/Seoul', 'replace', 'waiting']);
  assert.ok(existsSync(join(server.path, 'queries', 'mart.per_person.sql')));

  const doctor = () =>
    millrace(['doctor'], { env: { MILLRACE_ADDRESS: server.started.address, MILLRACE_TOKEN: server.started.adminToken } });
  assert.deepEqual(await doctor(), { code: 0, stdout: 'nothing is wrong\n', stderr: '' });
  await server.ask(
    `CREATE SCHEDULED QUERY mart.fails OPTIONS (cron = '0 6 * * *') AS SELECT CAST(person AS INTEGER) AS n FROM mart.sessions`,
  );
  await server.ask('RUN SCHEDULED QUERY mart.fails');
  await server.ask('PAUSE MATERIALIZED VIEW mart.sessions');
  const { code, stdout } = await doctor();
  assert.equal(code, 1);
  assert.match(stdout, /^mart\.sessions: it is paused; its rows are those of 20\d\d-[^\n]*\n {4}→ millrace view resume mart\.sessions$/m);
  assert.match(stdout, /^mart\.fails: its run of 20\d\d-\S+ failed: .*'a'.*\n/m);
  await server.ask('RESUME MATERIALIZED VIEW mart.sessions');
  await server.ask('DROP SCHEDULED QUERY mart.fails');

  await server.ask('CREATE TABLE main.goods AS SELECT 1 AS id');
  await server.ask('CREATE MATERIALIZED VIEW mart.goods AS SELECT count(*) AS n FROM main.goods');
  assert.equal(await server.ask('DROP TABLE main.goods'), 'VIEW_READ');
  assert.equal(await server.ask('DELETE FROM mart.goods'), 'VIEW_KEPT');
  for (const mode of ['replace', 'append', 'create']) {
    const headers = { 'content-type': 'text/csv' };
    const loaded = await server.call('POST', `/v1/load/mart.goods?mode=${mode}`, { body: 'product,n\nx,1\n', headers });
    assert.equal((loaded.json as { error?: { code: string } }).error?.code, 'VIEW_KEPT', mode);
  }
  assert.equal(await server.ask('DROP MATERIALIZED VIEW mart.session_events'), 'VIEW_READ');
  assert.equal(typeof (await server.ask('DROP TABLE main.goods CASCADE')), 'object');
  assert.equal(existsSync(join(server.path, 'views', 'mart.goods.sql')), false);

  await server.ask('CREATE TABLE main.goods AS SELECT 1 AS id, 2 AS price');
  await server.ask('CREATE VIEW main.cheap AS SELECT id FROM goods');
  await server.ask('CREATE MATERIALIZED VIEW mart.goods AS SELECT sum(price) AS price FROM main.goods');
  await server.ask(`CREATE SCHEDULED QUERY mart.copy OPTIONS (cron = '0 6 * * *') AS SELECT * FROM mart.goods`);
  for (const [file, text] of [
    ['metrics/price.yaml', 'table: mart.goods\nexpression: sum(price)\n'],
    ['dashboards/shop.yaml', 'title: Shop\ntiles:\n  - title: Ids\n    sql: SELECT id FROM main.cheap\n'],
  ] as const) {
    mkdirSync(dirname(join(server.path, file)), { recursive: true });
    writeFileSync(join(server.path, file), text);
  }
  const blast = async (query: string) =>
    (
      (await server.call('GET', `/v1/views/blast?${query}`, { token: viewer })).json as { affected: { kind: string; name: string }[] }
    ).affected.map(({ kind, name }) => `${kind} ${name}`);
  assert.deepEqual(await blast('table=main.goods'), [
    'materialized view mart.goods',
    'view main.cheap',
    'scheduled query mart.copy',
    'metric price',
    'dashboard shop',
  ]);
  assert.deepEqual(await blast('table=main.goods&columns=id'), ['view main.cheap', 'dashboard shop']);
  assert.deepEqual(await blast('table=main.goods&columns=price'), [
    'materialized view mart.goods',
    'scheduled query mart.copy',
    'metric price',
  ]);
  assert.equal((await server.call('GET', '/v1/views/blast?table=main.nothing')).code, 'TABLE_UNKNOWN');
  assert.equal((await server.call('GET', '/v1/views/blast?table=x')).code, 'REQUEST_INVALID');
  const refusal = await server.call('POST', '/v1/query', { body: { sql: 'DROP TABLE main.goods' } });
  assert.match(refusal.text, /mart\.goods.*main\.cheap.*mart\.copy.*price.*shop/);
  const drift = await server.call('POST', '/v1/query', { body: { sql: 'CREATE OR REPLACE TABLE main.goods AS SELECT 1 AS id' } });
  assert.match(drift.text, /VIEW_DRIFT.*price.*mart\.goods/);
  assert.equal(typeof (await server.ask(`CREATE OR REPLACE TABLE main.goods AS SELECT 1 AS id, 3 AS price, 'x' AS more`)), 'object');
  await until(async () => JSON.stringify(await server.ask('SELECT price::INTEGER FROM mart.goods')) === '[[3]]');
  const narrower = await server.call('POST', '/v1/query', {
    body: { sql: 'CREATE OR REPLACE MATERIALIZED VIEW mart.goods AS SELECT count(*) AS n FROM main.goods' },
  });
  assert.match(narrower.text, /VIEW_DRIFT.*price.*mart\.copy/);
  const wider = 'CREATE OR REPLACE MATERIALIZED VIEW mart.goods AS SELECT sum(price) AS price, count(*) AS n FROM main.goods';
  assert.equal(typeof (await server.ask(wider)), 'object');
  await server.ask('PAUSE MATERIALIZED VIEW mart.goods');
  await server.ask('DROP SCHEDULED QUERY mart.copy');
  assert.equal(typeof (await server.ask('CREATE OR REPLACE TABLE main.goods AS SELECT 1 AS id')), 'object');
  assert.equal(typeof (await server.ask('DROP TABLE main.goods CASCADE')), 'object');
  assert.deepEqual(await blast('table=raw.events&columns=no_such_column'), []);
});

test('the plan of a transfer says which columns its source would take from a table, and what reads them, before it runs', async (t) => {
  const server = await running(t);
  const at = (...path: string[]) => join(server.path, ...path);
  const definition = (drift: string, mode: string) =>
    `source: csv\nconnection: { path: goods.csv }\ntables:\n  goods: { target: shop.goods, mode: ${mode}, drift: ${drift} }\n`;
  for (const folder of ['transfers', 'dashboards']) mkdirSync(at(folder), { recursive: true });
  writeFileSync(at('goods.csv'), 'id,name,price,stock\n1,pen,10,5\n2,cup,20,6\n');
  writeFileSync(at('transfers', 'goods.yaml'), definition('evolve', 'full'));
  type Drift = { lost: string[]; affected: { kind: string; name: string }[] };
  const drift = async () => {
    const { json, text } = await server.call('GET', '/v1/transfers/goods/plan');
    const [table] = (json as { tables: { drift: Drift }[] }).tables ?? [];
    assert.ok(table !== undefined, text);
    return [...table.drift.lost, ...table.drift.affected.map(({ kind, name }) => `${kind} ${name}`)];
  };
  await until(async () => (await server.call('GET', '/v1/transfers/goods')).status === 200);
  assert.deepEqual(await drift(), [], 'there is no table yet');
  await server.call('POST', '/v1/transfers/goods/run', { body: {} });
  await until(async () => typeof (await server.ask('SELECT count(*) FROM shop.goods')) === 'object');
  await server.ask(
    'CREATE MATERIALIZED VIEW mart.prices PARTITION BY name AS SELECT name, sum(price) AS price FROM shop.goods GROUP BY name',
  );
  await server.ask('CREATE MATERIALIZED VIEW mart.names AS SELECT count(DISTINCT name) AS n FROM shop.goods');
  writeFileSync(
    at('dashboards', 'dear.yaml'),
    'title: Dear\ntiles:\n  - title: Dear\n    sql: SELECT name FROM shop.goods WHERE price > 15\n',
  );
  assert.deepEqual(await drift(), [], 'the source is as it was');
  writeFileSync(at('goods.csv'), 'id,name,stock\nx1,pen,5\nx2,cup,6\n');
  assert.deepEqual(await drift(), ['id', 'price', 'materialized view mart.prices', 'dashboard dear']);
  const { stdout } = await millrace(['transfer', 'run', 'goods', '--dry-run'], {
    env: { MILLRACE_ADDRESS: server.started.address, MILLRACE_TOKEN: server.started.adminToken },
  });
  assert.match(
    stdout,
    /^shop\.goods would lose or change id, price, which is read by the materialized view mart\.prices, the dashboard dear$/m,
  );
  const into = `source: csv\nconnection: { path: goods.csv }\ntables:\n  goods: { target: mart.names, mode: full }\n`;
  writeFileSync(at('transfers', 'into.yaml'), into);
  await until(async () => (await server.call('GET', '/v1/transfers/into')).status === 200);
  await server.call('POST', '/v1/transfers/into/run', { body: {} });
  await until(async () => /VIEW_KEPT/.test((await server.call('GET', '/v1/transfers/into')).text));
  assert.deepEqual(await server.ask('SELECT n FROM mart.names'), [[2]]);
  const under = async (text: string, expected: string[]) => {
    writeFileSync(at('transfers', 'goods.yaml'), text);
    await until(async () => JSON.stringify(await drift()) === JSON.stringify(expected));
  };
  await under(definition('discard', 'full'), []);
  // A column that is gone stays where rows are added.
  await under(definition('evolve', 'append'), ['id']);
});
