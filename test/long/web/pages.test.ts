import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Look, visit, withoutBrowser } from '../../web/browser.ts';
import { millrace, send } from '../../web/server.ts';

const look: Look = { language: 'en', scheme: 'light', width: 1440 };

describe('pages that wait for other processes', { skip: withoutBrowser }, () => {
  let started: Awaited<ReturnType<typeof millrace>>;
  let end = async () => {};
  before(async () => {
    started = await millrace({ after: (fn) => (end = fn) });
  });
  after(() => end());
  const server = () => started;

  test('a transfer is previewed, run and compared from its page, and its runs are listed', async (t) => {
    const { address, adminToken, path } = server();
    mkdirSync(join(path, 'transfers'), { recursive: true });
    writeFileSync(join(path, 'people.csv'), 'id,name,born\n1,Ada,1815-12-10\n2,"<b>Grace</b>",1906-12-09\n');
    writeFileSync(
      join(path, 'transfers', 'people.yaml'),
      'source: csv\nconnection: { path: people.csv }\ntables:\n  people: { target: main.people }\n',
    );
    const { page, complaints, violations, enter, shot } = await visit(t, look);
    await enter(address, adminToken);
    await page.goto(`${address}/data`);
    await page.getByRole('link', { name: /people/ }).click();
    await page.getByRole('button', { name: 'Preview' }).click();
    await page.getByRole('cell', { name: '<b>Grace</b>' }).waitFor();
    await page.getByRole('button', { name: 'Run now' }).click();
    await page.getByText('yes, 2 rows').waitFor();
    await page.getByRole('button', { name: 'Compare' }).click();
    await page.getByRole('cell', { name: 'done' }).first().waitFor();
    await shot('transfer');
    assert.deepEqual(await violations(), []);
    assert.deepEqual(complaints, []);
    await page.getByRole('link', { name: 'main.people' }).first().click();
    await page.getByRole('heading', { level: 1, name: 'main.people' }).waitFor();
  });

  test('Home names a view that is paused and a transfer that failed, and leads to them', async (t) => {
    const { address, adminToken, path } = server();
    const admin = { authorization: `Bearer ${adminToken}` };
    for (const sql of [
      'CREATE SCHEMA IF NOT EXISTS mart',
      'CREATE TABLE main.base AS SELECT 1 AS n',
      'CREATE MATERIALIZED VIEW mart.kept AS SELECT n, count(*) AS times FROM main.base GROUP BY n',
      'PAUSE MATERIALIZED VIEW mart.kept',
    ]) {
      const done = await send(address, 'POST', '/v1/query', admin, { sql });
      assert.equal(done.status, 200, done.text);
    }
    mkdirSync(join(path, 'transfers'), { recursive: true });
    writeFileSync(
      join(path, 'transfers', 'gone.yaml'),
      'source: csv\nconnection: { path: gone.csv }\ntables:\n  gone: { target: main.gone }\n',
    );
    assert.equal((await send(address, 'POST', '/v1/transfers/gone/run', admin)).status, 200);
    const { page, enter, violations } = await visit(t, look);
    await enter(address, adminToken);
    await page.getByText('View mart.kept').waitFor();
    await page.getByText('Transfer gone failed').waitFor();
    assert.deepEqual(await violations(), []);
    await page.getByRole('listitem').filter({ hasText: 'Transfer gone failed' }).getByRole('link').click();
    await page.getByRole('heading', { level: 1, name: 'gone' }).waitFor();
    await page.getByText('TRANSFER_FILE').waitFor();
  });

  test('a console that was open while Millrace was updated loads itself anew; what can’t be loaded is said', async (t) => {
    const { address, adminToken } = server();
    const { page, enter } = await visit(t, look);
    await enter(address, adminToken);
    let gone = 1;
    await page.route('**/assets/admin-*.js', (route) => (gone-- > 0 ? route.fulfill({ status: 404, body: '' }) : route.continue()));
    await page.getByRole('link', { name: 'Admin' }).click();
    await page.getByRole('heading', { level: 1, name: 'Admin' }).waitFor();
    assert.equal(gone, -1, 'it was fetched twice');
    await page.route('**/assets/models-*.js', (route) => route.fulfill({ status: 404, body: '' }));
    await page.getByRole('link', { name: 'Models' }).click();
    await page.getByRole('alert').getByText('CONSOLE').waitFor();
    await page.getByRole('link', { name: 'Home' }).click();
    await page.getByRole('heading', { level: 1, name: 'Home' }).waitFor();
  });
});
