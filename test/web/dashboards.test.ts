import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { DashboardAnswer, DashboardsAnswer, LoginAnswer } from '#server';
import { millrace, send } from './server.ts';

const good = 'title: Good\ntiles:\n  - sql: SELECT 1 AS n\n';
const broken = 'title: Broken\ntiles:\n  - chart: radar\n    sql: SELECT 1\n';

function twoFiles(path: string): void {
  mkdirSync(join(path, 'dashboards'));
  writeFileSync(join(path, 'dashboards', 'good.yaml'), good);
  writeFileSync(join(path, 'dashboards', 'broken.yaml'), broken);
  writeFileSync(join(path, 'dashboards', 'Not A Name.yaml'), good);
}

test('a broken file is listed with its error and line while others work', async (t) => {
  const { address, adminToken, path } = await millrace(t, twoFiles);
  const admin = { authorization: `Bearer ${adminToken}` };
  const { dashboards } = (await send(address, 'GET', '/v1/dashboards', admin)).json<DashboardsAnswer>();
  assert.deepEqual(
    dashboards.map(({ name, title, tiles, error }) => [name, title, tiles, error?.code, error?.params['line']]),
    [
      ['broken', 'broken', 0, 'DEFINITION_INVALID', 3],
      ['good', 'Good', 1, undefined, undefined],
    ],
  );
  const one = (await send(address, 'GET', '/v1/dashboards/broken', admin)).json<DashboardAnswer>();
  assert.equal(one.text, broken);
  assert.equal(one.dashboard, null);
  writeFileSync(join(path, 'dashboards', 'broken.yaml'), good);
  assert.equal(
    (await send(address, 'GET', '/v1/dashboards/broken', admin)).json<DashboardAnswer>().dashboard?.title,
    'Good',
    'an edit on disk is seen at once',
  );
});

test('of two who edit one version the second is told, and nothing is overwritten', async (t) => {
  const { address, adminToken, path } = await millrace(t, twoFiles);
  const admin = { authorization: `Bearer ${adminToken}` };
  const { version } = (await send(address, 'GET', '/v1/dashboards/good', admin)).json<DashboardAnswer>();
  const save = (text: string, from: string | null) => send(address, 'PUT', '/v1/dashboards/good', admin, { text, version: from });
  const mine = good.replace('Good', 'Mine');
  const first = await save(mine, version);
  assert.equal(first.status, 200);
  const second = await save(good.replace('Good', 'Theirs'), version);
  assert.equal(second.status, 409);
  assert.equal(second.json<{ error: { code: string } }>().error.code, 'DASHBOARD_CHANGED');
  assert.equal((await save(good, null)).status, 409, 'a new file does not replace one that is there');
  assert.equal(readFileSync(join(path, 'dashboards', 'good.yaml'), 'utf8'), mine);
  assert.equal((await save(good, first.json<DashboardAnswer>().version)).status, 200);
  assert.deepEqual(readdirSync(join(path, 'dashboards')).sort(), ['Not A Name.yaml', 'broken.yaml', 'good.yaml'], 'nothing is left beside');
});

test('what can’t be taken is not saved, and no name leads out of the folder', async (t) => {
  const { address, adminToken } = await millrace(t);
  const admin = { authorization: `Bearer ${adminToken}` };
  const put = async (name: string, body: unknown) =>
    (await send(address, 'PUT', `/v1/dashboards/${name}`, admin, body)).json<{ error: { code: string } }>().error.code;
  assert.equal(await put('new', { text: broken, version: null }), 'DEFINITION_INVALID');
  assert.equal(await put('new', { text: 7 }), 'REQUEST_INVALID');
  for (const name of ['..%2f..%2fmillrace', 'A', '%2e%2e', 'a.b', `a${'b'.repeat(80)}`, 'a%00']) {
    assert.equal(await put(name, { text: good, version: null }), 'DASHBOARD_NAME', name);
  }
  assert.equal((await send(address, 'GET', '/v1/dashboards/none', admin)).status, 404);
  assert.deepEqual((await send(address, 'GET', '/v1/dashboards', admin)).json(), { dashboards: [] });
});

test('viewers read dashboards and change none', async (t) => {
  const { address, adminToken } = await millrace(t, twoFiles);
  const made = await send(address, 'POST', '/v1/tokens', { authorization: `Bearer ${adminToken}` }, { name: 'v', role: 'viewer' });
  const viewer = { authorization: `Bearer ${made.json<LoginAnswer>().token}` };
  assert.equal((await send(address, 'GET', '/v1/dashboards/good', viewer)).status, 200);
  assert.equal((await send(address, 'PUT', '/v1/dashboards/good', viewer, { text: good, version: null })).status, 403);
  assert.equal((await send(address, 'DELETE', '/v1/dashboards/good', viewer)).status, 403);
  assert.equal((await send(address, 'DELETE', '/v1/dashboards/good', { authorization: `Bearer ${adminToken}` })).status, 200);
  assert.equal((await send(address, 'GET', '/v1/dashboards/good', viewer)).status, 404);
});
