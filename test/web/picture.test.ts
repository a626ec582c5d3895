import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { LoginAnswer } from '#server';
import { defaultLook } from '#visualize';
import { pictureOf } from '../../src/server/picture.ts';
import { type Answer, millrace, send } from './server.ts';

const definition = {
  title: 'Shop',
  filters: [{ name: 'shop', sql: 'SELECT DISTINCT shop FROM main.sold' }],
  annotations: "SELECT DATE '2026-03-02', 'release'",
  tiles: [
    {
      title: 'Goods',
      chart: 'bar',
      sql: 'SELECT name, sum(n) AS n FROM main.sold WHERE $shop IS NULL OR shop = $shop GROUP BY 1 ORDER BY 1',
    },
    { title: 'Days', chart: 'line', sql: 'SELECT day, n FROM main.sold WHERE day >= $from::DATE AND day < $to::DATE ORDER BY 1' },
    { title: 'Sum', chart: 'number', sql: 'SELECT sum(n) FROM main.sold' },
    { title: 'Words', text: 'Words' },
  ],
};

test('a tile is a picture over HTTP, asked with the rights and the choice of whoever asks', async (t) => {
  const { address, adminToken, path } = await millrace(t, (folder) => {
    mkdirSync(join(folder, 'dashboards'));
    // JSON is YAML.
    writeFileSync(join(folder, 'dashboards', 'shop.yaml'), JSON.stringify(definition));
  });
  const admin = { authorization: `Bearer ${adminToken}` };
  const sql = `CREATE TABLE main.sold AS SELECT * FROM (VALUES ('a', 'socks', DATE '2026-03-01', 5), ('b', '<script>mugs</script>', DATE '2026-03-03', 7)) v(shop, name, day, n)`;
  assert.equal((await send(address, 'POST', '/v1/query', admin, { sql })).status, 200);
  const tile = (rest: string, who: Record<string, string> = admin) => send(address, 'GET', `/v1/dashboards/shop/tiles/${rest}`, who);
  const codeOf = (answer: Answer) => answer.json<{ error: { code: string } }>().error.code;

  const whole = await tile('0.svg');
  assert.equal(whole.status, 200, whole.text);
  assert.match(String(whole.headers['content-type']), /^image\/svg\+xml/);
  assert.match(String(whole.headers['content-security-policy']), /default-src 'none'/);
  assert.match(whole.text, /^<svg[^>]* width="640"/);
  assert.match(whole.text, /socks/);
  assert.match(whole.text, /mugs/);
  assert.doesNotMatch(whole.text, /<script/);
  const chosen = await tile('0.svg?f.shop=a&width=300&height=200&theme=dark');
  assert.match(chosen.text, /^<svg[^>]* width="300" height="200"/);
  assert.match(chosen.text, /socks/);
  assert.doesNotMatch(chosen.text, /mugs/);
  const days = (range: string) => tile(`1.svg?${range}`);
  assert.match((await days('range=custom&from=2026-03-01&to=2026-03-04')).text, /release/);
  assert.notEqual(
    (await days('range=custom&from=2026-03-01&to=2026-03-02')).text,
    (await days('range=custom&from=2026-03-03&to=2026-03-04')).text,
  );

  assert.equal(codeOf(await tile('2.svg')), 'TILE_PICTURE');
  for (const none of ['3.svg', '4.svg', '0.png', '0', '%2e%2e.svg']) assert.equal(codeOf(await tile(none)), 'TILE_UNKNOWN', none);
  for (const wrong of [
    'f.none=1',
    'f.shop=a&f.shop=b',
    'range=custom',
    'range=ever',
    'width=1',
    'height=1e9',
    'theme=red',
    'lang=fr',
    'sql=SELECT',
  ])
    assert.equal(codeOf(await tile(`0.svg?${wrong}`)), 'REQUEST_INVALID', wrong);
  assert.equal(codeOf(await send(address, 'GET', '/v1/dashboards/none/tiles/0.svg', admin)), 'DASHBOARD_UNKNOWN');
  assert.equal(codeOf(await send(address, 'GET', '/v1/dashboards/..%2fshop/tiles/0.svg', admin)), 'DASHBOARD_NAME');

  // Few at a time: the others are told to come again.
  const many = await Promise.all(Array.from({ length: 30 }, () => tile('0.svg')));
  const refused = many.filter(({ status }) => status !== 200);
  assert.ok(refused.length > 0 && refused.length <= 22, `${refused.length} of 30`);
  for (const answer of refused)
    assert.deepEqual([answer.status, codeOf(answer), Number(answer.headers['retry-after']) > 0], [503, 'TILE_BUSY', true]);
  assert.equal((await tile('0.svg')).status, 200);

  assert.equal((await tile('0.svg', {})).status, 401);
  const made = await send(address, 'POST', '/v1/tokens', admin, { name: 'ann', role: 'viewer' });
  const viewer = { authorization: `Bearer ${made.json<LoginAnswer>().token}` };
  assert.equal((await tile('0.svg', viewer)).status, 200);
  // Whoever may not read the table gets no picture of it.
  mkdirSync(join(path, 'grants'), { recursive: true });
  writeFileSync(join(path, 'grants', 'ann.yaml'), "token: ann\nread: ['mart.*']\n");
  assert.equal(codeOf(await tile('0.svg', viewer)), 'SQL_TABLE');
});

test('a picture that takes too long is ended, and the next one is drawn; the most rows that are asked for have room', async () => {
  const asked = (rows: number) => ({
    spec: { kind: 'line', x: 'x', y: ['y'] },
    data: {
      columns: ['x', 'y'].map((name) => ({ name, type: 'DOUBLE' })),
      rows: Array.from({ length: rows }, (_, k) => [k, (k * 7919) % 1000]),
    },
    marks: [],
    look: defaultLook,
  });
  await assert.rejects(pictureOf(asked(10), 1), { code: 'TILE_BUSY' });
  assert.match((await pictureOf(asked(10_000)))!, /^<svg/);
});
