import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { SendAnswer } from '#server';
import { type Look, visit, withoutBrowser } from './browser.ts';
import { millrace, send } from './server.ts';
import { retailLines, withoutData } from './stories.ts';

const look: Look = { language: 'en', scheme: 'light', width: 1440 };

const evil = '"><img src=x onerror="window.stolen=1"><script>window.stolen=1</script>';

/** Two dashboards and a topic, of which one each carries markup wherever it can. */
function prepared(path: string): void {
  mkdirSync(join(path, 'dashboards'));
  writeFileSync(
    join(path, 'dashboards', 'two.yaml'),
    'title: Two\ntiles:\n  - { title: A, sql: SELECT 1 AS a }\n  - { title: B, sql: SELECT 2 AS b }\n',
  );
  const yaml = {
    title: evil,
    description: evil,
    filters: [{ name: 'f', title: evil, sql: 'SELECT name FROM main.evil' }],
    tiles: [
      { title: evil, chart: 'bar', unit: '<b>1</b>', sql: 'SELECT * FROM main.evil' },
      { title: evil, text: evil },
      { title: evil, sql: 'SELECT * FROM evil_gone' },
    ],
  };
  // JSON is YAML.
  writeFileSync(join(path, 'dashboards', 'evil.yaml'), JSON.stringify(yaml));
  mkdirSync(join(path, 'queries'));
  writeFileSync(join(path, 'queries', 'evil.sql'), `-- ${evil}\nSELECT 1 AS "${evil.replaceAll('"', '""')}"`);
  writeFileSync(join(path, 'topics', 'strict.yaml'), 'title: strict\nfields:\n  n: integer\n');
  writeFileSync(
    join(path, 'topics', 'evil.yaml'),
    JSON.stringify({ title: evil, drift: 'freeze', fields: { n: { type: 'integer', required: true } } }),
  );
}

describe('on one workspace', { skip: withoutBrowser }, () => {
  let started: Awaited<ReturnType<typeof millrace>>;
  let end = async () => {};
  before(async () => {
    started = await millrace({ after: (fn) => (end = fn) }, prepared);
  });
  after(() => end());
  const server = () => started;

  test('a file of the UK shop that is dropped becomes a table, and its page opens', { skip: withoutData }, async (t) => {
    const { page, complaints, violations, enter } = await visit(t, look);
    await enter(server().address, server().adminToken);
    const lines = 500;
    const text = retailLines(lines).toString();
    const dropped = await page.evaluateHandle(`(() => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([${JSON.stringify(text)}], 'Online Retail (2011).csv', { type: 'text/csv' }));
      return transfer;
    })()`);
    await page.dispatchEvent('body', 'dragenter', { dataTransfer: dropped });
    await page.dispatchEvent('body', 'drop', { dataTransfer: dropped });
    const dialog = page.getByRole('dialog');
    const table = dialog.getByRole('textbox');
    await table.waitFor();
    assert.equal(await table.inputValue(), 'main.online_retail_2011');
    // The first rows as they would be loaded.
    await dialog.getByRole('cell', { name: 'WHITE METAL LANTERN' }).first().waitFor();
    assert.deepEqual(await violations(), []);
    await dialog.getByRole('button', { name: 'Load', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: 'main.online_retail_2011' }).waitFor();
    await page.getByText(`about ${lines} rows`).waitFor();
    assert.deepEqual(complaints, []);
  });

  test('of several files that are dropped each becomes a table, one after the other, or none after one that is closed', async (t) => {
    const { address, adminToken } = server();
    const { page, complaints, enter } = await visit(t, look);
    await enter(address, adminToken);
    const drop = async (...names: string[]) => {
      const dropped = await page.evaluateHandle(`(() => {
        const transfer = new DataTransfer();
        for (const name of ${JSON.stringify(names)}) transfer.items.add(new File(['a,b\\n1,2\\n'], name + '.csv', { type: 'text/csv' }));
        return transfer;
      })()`);
      await page.dispatchEvent('body', 'drop', { dataTransfer: dropped });
    };
    const dialog = page.getByRole('dialog');
    await drop('first', 'second');
    await dialog.getByText('Files that come after this one: 1.').waitFor();
    for (const name of ['main.first', 'main.second']) {
      // The dialog before may still be on its way out.
      while ((await dialog.getByRole('textbox').last().inputValue()) !== name) await page.waitForTimeout(50);
      await dialog.getByRole('button', { name: 'Load', exact: true }).click();
      await page.getByRole('heading', { level: 1, name }).waitFor();
    }
    await dialog.waitFor({ state: 'detached' });
    await drop('third', 'fourth');
    await dialog.getByText('Files that come after this one: 1.').waitFor();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    assert.deepEqual(complaints, []);
  });

  test('a million rows scroll to their end, and only those in view are in the page', async (t) => {
    const { page, complaints, enter } = await visit(t, look);
    await enter(server().address, server().adminToken);
    await page.goto(`${server().address}/ask`);
    await page.locator('.cm-content').click();
    await page.keyboard.insertText("SELECT range AS n, 'row ' || range AS name FROM range(1000000)");
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+Enter');
    const grid = page.getByRole('table', { name: 'Table' });
    await grid.getByRole('cell', { name: 'row 0', exact: true }).waitFor({ timeout: 60_000 });
    await grid.evaluate((element) => element.scrollTo(0, element.scrollHeight));
    await grid.getByRole('cell', { name: 'row 999999', exact: true }).waitFor();
    await grid.evaluate((element) => element.scrollTo(0, element.scrollHeight / 2));
    await grid
      .getByRole('cell', { name: /^row 5000\d\d$/ })
      .first()
      .waitFor();
    assert.ok((await grid.locator('.grid-row').count()) < 60);
    // A column is as wide as one makes it, by pointer or by keys.
    const edge = grid.getByRole('button', { name: /^Width of n:/ });
    const wide = async () => Number(/(\d+) px/.exec((await edge.getAttribute('aria-label'))!)![1]);
    const before = await wide();
    await edge.press('ArrowRight');
    assert.equal(await wide(), before + 16);
    const { x, y, height } = (await edge.boundingBox())!;
    await page.mouse.move(x + 4, y + height / 2);
    await page.mouse.down();
    await page.mouse.move(x + 44, y + height / 2);
    await page.mouse.up();
    assert.equal(await wide(), before + 56);
    assert.deepEqual(complaints, []);
  });

  test('a question that runs long is stopped, on the server too', async (t) => {
    const { page, enter } = await visit(t, look);
    await enter(server().address, server().adminToken);
    await page.goto(`${server().address}/ask`);
    await page.locator('.cm-content').click();
    await page.keyboard.insertText('SELECT count(*) FROM range(10000000) a, range(100000) b WHERE (a.range * b.range) % 7 = 3');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+Enter');
    await page.getByText(/^Running for/).waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('Stopped.').waitFor();
    const admin = { authorization: `Bearer ${server().adminToken}` };
    const job = async () =>
      (await send(server().address, 'GET', '/v1/jobs', admin))
        .json<{ sql: string; state: string }[]>()
        .find(({ sql }) => sql.includes('% 7 = 3'))?.state;
    for (let tries = 0; tries < 100 && (await job()) === 'running'; tries++) await page.waitForTimeout(100);
    assert.equal(await job(), 'cancelled');
  });

  test('of two who edit one dashboard at once both edits are kept, or the second is asked; none is overwritten', async (t) => {
    const { address, adminToken } = server();
    const admin = { authorization: `Bearer ${adminToken}` };
    const { page, enter } = await visit(t, look);
    await enter(address, adminToken);
    const read = async () => (await send(address, 'GET', '/v1/dashboards/two', admin)).json<{ text: string; version: string }>();
    const elsewhere = async (from: string, to: string) => {
      const { text, version } = await read();
      const put = await send(address, 'PUT', '/v1/dashboards/two', admin, { text: text.replace(from, to), version });
      assert.equal(put.status, 200, put.text);
    };
    const widen = (title: string) => page.getByRole('button', { name: new RegExp(`^Resize ${title}`) }).press('ArrowRight');
    const save = () => page.getByRole('button', { name: 'Save', exact: true }).click();
    const edit = () => page.getByRole('button', { name: 'Edit', exact: true }).click();
    await page.goto(`${address}/dashboards/two`);
    await edit();
    await widen('A');
    await elsewhere('SELECT 2 AS b', 'SELECT 22 AS b');
    // A reload in the middle takes nothing away.
    await page.reload();
    await page.getByRole('button', { name: /^Resize A: 7/ }).waitFor();
    await save();
    await page.getByText('Both edits are joined').waitFor();
    await save();
    await page.getByRole('button', { name: 'Edit', exact: true }).waitFor();
    const { text } = await read();
    assert.match(text, /title: A, sql: SELECT 1 AS a, width: 7/);
    assert.match(text, /SELECT 22 AS b/);
    await edit();
    await widen('A');
    await elsewhere('width: 7', 'width: 12');
    await save();
    await page.getByRole('dialog').getByText('A', { exact: true }).waitFor();
    assert.match((await read()).text, /width: 12/);
    await page.getByRole('button', { name: 'Save mine for these' }).click();
    await page.getByRole('button', { name: 'Edit', exact: true }).waitFor();
    assert.match((await read()).text, /width: 8/);
  });

  test('a tile keeps the focus while it is moved, and what was typed is not closed by the way', async (t) => {
    const { address, adminToken } = server();
    const { page, complaints, enter } = await visit(t, look);
    await enter(address, adminToken);
    await page.goto(`${address}/dashboards/two`);
    await page.getByRole('button', { name: 'Edit', exact: true }).click();
    const titles = () => page.locator('.tile h2').allTextContents();
    const grip = page.getByRole('button', { name: 'Move A' });
    await grip.press('ArrowRight');
    assert.deepEqual(await titles(), ['B', 'A']);
    assert.equal(await grip.evaluate((element) => element === element.ownerDocument.activeElement), true);
    await page.keyboard.press('ArrowLeft');
    assert.deepEqual(await titles(), ['A', 'B']);
    await page.keyboard.press('Control+z');
    assert.deepEqual(await titles(), ['B', 'A']);
    await page.keyboard.press('Control+z');
    assert.deepEqual(await titles(), ['A', 'B']);

    await page.getByRole('button', { name: 'Title and filters' }).click();
    const settings = page.getByRole('dialog');
    const add = settings.getByRole('button', { name: 'Add a filter' });
    await add.click();
    await add.click();
    await settings.getByRole('button', { name: 'Remove' }).first().click();
    await add.click();
    const names = settings.getByLabel('Name in SQL');
    assert.deepEqual(await Promise.all([0, 1].map((at) => names.nth(at).inputValue())), ['filter_2', 'filter_3']);
    await page.keyboard.press('Escape');
    await page.mouse.click(5, 5);
    for (const at of [0, 1]) await settings.getByLabel('SQL whose first column').nth(at).fill('SELECT 1');
    await settings.getByRole('button', { name: 'Apply' }).click();
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByRole('button', { name: 'Edit', exact: true }).waitFor();
    await page.getByLabel('filter_3').first().waitFor();
    assert.deepEqual(complaints, []);
  });

  test('who saves over what was changed or removed meanwhile is told, and may save again', async (t) => {
    const { address, adminToken } = server();
    const admin = { authorization: `Bearer ${adminToken}` };
    const at = `${address}/dashboards/theirs`;
    const put = async (title: string) => {
      const held = await send(address, 'GET', '/v1/dashboards/theirs', admin);
      const version = held.status === 200 ? held.json<{ version: string }>().version : null;
      const saved = await send(address, 'PUT', '/v1/dashboards/theirs', admin, {
        text: `title: ${title}\ntiles:\n  - { title: T, sql: SELECT 1 AS n }\n`,
        version,
      });
      assert.equal(saved.status, 200, saved.text);
    };
    const read = async () => (await send(address, 'GET', '/v1/dashboards/theirs', admin)).json<{ text: string }>().text;
    await put('First');
    const { page, enter } = await visit(t, look);
    await enter(address, adminToken);
    await page.goto(at);
    await page.getByRole('button', { name: 'More' }).click();
    await page.getByRole('menuitem', { name: 'Edit the file as text' }).click();
    const dialog = page.getByRole('dialog');
    const text = dialog.getByRole('textbox');
    await text.fill('title: Mine\ntiles:\n  - { title: T, sql: SELECT 2 AS n }\n');
    await page.keyboard.press('Escape');
    await put('Second');
    const save = dialog.getByRole('button', { name: 'Save', exact: true });
    await save.click();
    await dialog.getByText('title: Second').waitFor();
    assert.match(await text.inputValue(), /title: Mine/);
    assert.match(await read(), /title: Second/);
    await save.click();
    await page.getByRole('heading', { name: 'Mine' }).waitFor();
    assert.match(await read(), /title: Mine/);

    await page.getByRole('button', { name: 'Edit', exact: true }).click();
    await page.getByRole('button', { name: /^Resize T/ }).press('ArrowRight');
    assert.equal((await send(address, 'DELETE', '/v1/dashboards/theirs', admin)).status, 200);
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByText('Someone removed this dashboard meanwhile.').waitFor();
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByRole('button', { name: 'Edit', exact: true }).waitFor();
    assert.match(await read(), /width: 7/);
  });

  test('a lost connection is told, takes no edit away, and is found again', async (t) => {
    const { address, adminToken } = server();
    const { page, context, enter } = await visit(t, look);
    await enter(address, adminToken);
    await page.goto(`${address}/dashboards/two`);
    await page.getByRole('button', { name: 'Edit', exact: true }).click();
    await page.getByRole('button', { name: /^Resize B/ }).press('ArrowRight');
    const wide = await page.getByRole('button', { name: /^Resize B/ }).getAttribute('aria-label');
    await context.setOffline(true);
    await page.getByRole('button', { name: 'The connection is lost. It is tried again.' }).waitFor();
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByRole('alert').getByText('Millrace does not answer.').first().waitFor();
    assert.equal(await page.getByRole('button', { name: /^Resize B/ }).getAttribute('aria-label'), wide);
    await context.setOffline(false);
    await page.getByRole('button', { name: 'All parts answer.' }).waitFor();
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByRole('button', { name: 'Edit', exact: true }).waitFor();
    const { text } = (await send(address, 'GET', '/v1/dashboards/two', { authorization: `Bearer ${adminToken}` })).json<{ text: string }>();
    assert.match(text, /title: B, sql: [^}]*width: 7/);
  });

  test('a connection that breaks in the middle of an answer is told, and tried again', async (t) => {
    const { address, adminToken } = server();
    const breaking = createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
      response.write('{"columns":[');
      setTimeout(() => response.destroy(), 50);
    });
    await new Promise<void>((resolve) => breaking.listen(0, '127.0.0.1', resolve));
    t.after(() => breaking.close());
    const url = `http://127.0.0.1:${(breaking.address() as AddressInfo).port}/`;
    const { page, complaints, enter } = await visit(t, look);
    await enter(address, adminToken);
    let broken = 0;
    await page.route('**/v1/query', (route) => route.continue(broken++ === 0 ? { url } : {}));
    await page.goto(`${address}/ask#${new URLSearchParams({ sql: 'SELECT 43 AS n' })}`);
    await page.getByRole('button', { name: 'Run' }).click();
    await page.getByRole('alert').getByText('Millrace does not answer.').waitFor();
    await page.getByRole('button', { name: 'Run' }).click();
    await page.getByRole('cell', { name: '43' }).waitFor();
    await page.route('**/v1/catalog', (route) => route.continue(broken++ === 2 ? { url } : {}));
    await page.goto(`${address}/data`);
    await page.locator('main').getByText('strict').first().waitFor();
    assert.ok(broken > 3, 'it was asked again');
    assert.deepEqual(
      complaints.filter(
        (text) => !text.includes('ERR_CONTENT_LENGTH_MISMATCH') && !text.includes('ERR_CONNECTION') && !text.includes('ERR_INCOMPLETE'),
      ),
      [],
    );
  });

  test('a click on a mark opens the dashboard that it drills to, with the mark’s filter', async (t) => {
    const { address, adminToken } = server();
    const admin = { authorization: `Bearer ${adminToken}` };
    const filters = [{ name: 'side', sql: "SELECT unnest(['left', 'right'])" }];
    const save = async (name: string, tiles: object[]) => {
      const definition = { title: name, filters, tiles };
      const saved = await send(address, 'PUT', `/v1/dashboards/${name}`, admin, { definition, version: null });
      assert.equal(saved.status, 200, saved.text);
    };
    await save('details', [{ title: 'Chosen', chart: 'table', sql: "SELECT 'side: ' || coalesce($side, 'none') AS side" }]);
    const marks = "SELECT 'left' AS side, 5 AS n UNION ALL SELECT 'right', 5";
    await save('overview', [{ title: 'Sides', chart: 'bar', filter: 'side', drill: 'details', sql: marks }]);
    const { page, enter } = await visit(t, look);
    await enter(address, adminToken);
    await page.goto(`${address}/dashboards/overview`);
    const canvas = page.locator('.canvas[data-drawn]');
    await canvas.waitFor();
    const { x, y, width, height } = (await canvas.boundingBox())!;
    await page.mouse.click(x + width * 0.28, y + height * 0.7);
    await page.waitForURL(/\/dashboards\/details\?.*f\.side=left/);
    await page.getByText('side: left').waitFor();
  });

  test('a topic’s policy is edited where it stands, and what was refused goes through again', async (t) => {
    const { address, adminToken } = server();
    const admin = { authorization: `Bearer ${adminToken}` };
    const sent = await send(address, 'POST', '/v1/topics/strict/records', admin, [{ n: 1 }, { n: 'many' }]);
    assert.deepEqual([sent.status, sent.json<SendAnswer>().rejected], [207, 1], sent.text);
    const { page, violations, enter } = await visit(t, look);
    await enter(address, adminToken);
    await page.goto(`${address}/data/topics/strict`);
    await page.getByText('many', { exact: false }).first().waitFor();
    await page.getByRole('button', { name: 'Edit', exact: true }).click();
    const text = page.getByRole('textbox', { name: 'topics/strict.yaml' });
    await text.fill('fields: [');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByRole('alert').waitFor();
    assert.equal(await text.inputValue(), 'fields: [', 'what was typed stays');
    assert.deepEqual(await violations(), []);
    await text.fill('title: strict\nfields:\n  n: text\n');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByText('Saved. What was refused').waitFor();
    await page.getByRole('button', { name: 'Send through again' }).click();
    await page.getByText(/1 accepted/).waitFor();
  });

  test('home counts what was refused, however much it is, without asking for a record', async (t) => {
    const { address, adminToken } = server();
    const admin = { authorization: `Bearer ${adminToken}` };
    const refused = (topic: string, records: object[]) => send(address, 'POST', `/v1/topics/${topic}/records`, admin, records);
    await refused(
      'evil',
      Array.from({ length: 1200 }, () => ({ n: 'many' })),
    );
    await refused('evil', [{}, {}]);
    const { page, complaints, violations, enter } = await visit(t, look);
    const asked: string[] = [];
    page.on('request', (request) => asked.push(new URL(request.url()).pathname));
    await enter(address, adminToken);
    await page.getByText('evil: 1,202 records in quarantine').waitFor();
    await page.getByText(/^[A-Z_]+ 1,200 · [A-Z_]+ 2$/).waitFor();
    assert.ok(asked.includes('/v1/quarantine/counts') && !asked.includes('/v1/quarantine'), String(asked));
    assert.deepEqual(await violations(), []);
    assert.deepEqual(complaints, []);
  });

  test('search finds columns with their tables, and does what a command says', async (t) => {
    const { address, adminToken } = server();
    await send(
      address,
      'POST',
      '/v1/query',
      { authorization: `Bearer ${adminToken}` },
      { sql: 'CREATE TABLE main.findable AS SELECT 1 AS very_rare_column' },
    );
    const { page, violations, enter } = await visit(t, look);
    await enter(address, adminToken);
    await page.keyboard.press('Control+k');
    const find = page.getByRole('combobox', { name: /Find/ });
    await find.fill('no such thing');
    await page.getByText('Nothing has this name.').waitFor();
    await find.fill('very_rare');
    await page.getByRole('option', { name: /very_rare_column.*main\.findable/ }).waitFor();
    assert.deepEqual(await violations(), []);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'main.findable' }).waitFor();
    await page.keyboard.press('Control+k');
    await find.fill('dark app');
    await page.getByRole('option', { name: /Dark appearance/ }).waitFor();
    await page.keyboard.press('Enter');
    await page.locator('html[data-mantine-color-scheme="dark"]').waitFor();
  });

  test('names and values that carry markup are shown as they are and run nothing', async (t) => {
    const { address, adminToken } = server();
    const admin = { authorization: `Bearer ${adminToken}` };
    const sql = (text: string) => send(address, 'POST', '/v1/query', admin, { sql: text });
    const literal = `'${evil.replaceAll("'", "''")}'`;
    const made = await sql(`CREATE TABLE main.evil AS SELECT ${literal} AS name, 5 AS "${evil.replaceAll('"', '""')}"`);
    assert.equal(made.status, 200, made.text);
    const sent = await send(address, 'POST', '/v1/topics/evil/records', admin, { n: evil });
    assert.equal(sent.json<SendAnswer>().rejected, 1, sent.text);
    const { page, complaints, enter } = await visit(t, { language: 'en', scheme: 'light', width: 1440 });
    await enter(address, adminToken);
    for (const path of [
      '/',
      '/data',
      '/data/main/evil',
      '/data/topics/evil',
      '/ask#query=evil',
      '/ask#table=main.evil',
      '/dashboards',
      '/dashboards/evil',
      `/data/${encodeURIComponent(evil)}/${encodeURIComponent(evil)}`,
      `/ask#${new URLSearchParams({ sql: `SELECT * FROM main.evil -- ${evil}` })}`,
    ]) {
      // A new fragment alone would load nothing.
      await page.goto('about:blank');
      await page.goto(address + path);
      await page.getByRole('heading', { level: 1 }).first().waitFor();
      if (path.startsWith('/ask#table')) await page.locator('.made-sql').waitFor();
      else if (path.startsWith('/ask')) {
        await page.locator('.cm-content').press('Control+Enter');
        await page.getByRole('cell').first().waitFor();
        await page.getByText('Chart', { exact: true }).click();
      }
      if (path === '/data/topics/evil') await page.getByText('RECORD_FIELD').first().waitFor();
      if (path === '/dashboards/evil') {
        await page.locator('.canvas[data-drawn]').hover();
        await page.locator('.problem').waitFor();
      }
      await page.waitForTimeout(200);
      assert.equal(await page.evaluate(() => (globalThis as { stolen?: number }).stolen), undefined, path);
      assert.equal(await page.locator('#root img, #root script').count(), 0, path);
    }
    assert.deepEqual(complaints, []);
  });

  test('a dashboard that is opened asks each tile’s question once, and anew when it is refreshed', async (t) => {
    const { address, adminToken } = server();
    const { page, complaints, enter } = await visit(t, look);
    await enter(address, adminToken);
    const text = 'title: Three\ntiles:\n  - { title: A, sql: SELECT 1 AS a }\n  - { title: B, sql: SELECT 2 AS b }\n';
    assert.equal((await send(address, 'PUT', '/v1/dashboards/three', { authorization: `Bearer ${adminToken}` }, { text })).status, 200);
    const asked: string[] = [];
    let sessions = 0;
    page.on('request', (request) => {
      if (request.url().endsWith('/v1/session')) sessions++;
      if (!request.url().endsWith('/v1/questions')) return;
      const { questions } = request.postDataJSON() as { questions: { sql: string }[] };
      asked.push(...questions.map(({ sql }) => sql));
    });
    // A slow line brings the page's code long after the answers to what was asked ahead of it.
    await page.route('**/assets/dashboard-*.js', async (route) => {
      await page.waitForTimeout(6000);
      await route.continue();
    });
    await page.goto(`${address}/dashboards/three`);
    await page.locator('.tile .big-value').nth(1).waitFor();
    assert.deepEqual(asked.sort(), ['SELECT 1 AS a', 'SELECT 2 AS b']);
    const again = page.waitForRequest('**/v1/questions');
    await page.getByRole('button', { name: 'Refresh', exact: true }).click();
    await again;
    assert.deepEqual(asked.sort(), ['SELECT 1 AS a', 'SELECT 1 AS a', 'SELECT 2 AS b', 'SELECT 2 AS b']);
    // What is asked ahead does not wait for an answer of its own as to who is there: it could come when the page stands already.
    assert.equal(sessions, 1);
    assert.deepEqual(complaints, []);
  });

  test('the settings open by the keyboard, are sound, and change the language at once', async (t) => {
    const { address, adminToken } = server();
    const { page, complaints, violations, enter } = await visit(t, look);
    await enter(address, adminToken);
    const button = page.getByRole('button', { name: 'Settings' });
    await button.press('Enter');
    await page.getByText('한국어', { exact: true }).waitFor();
    assert.deepEqual(await violations(), []);
    await page.getByText('한국어', { exact: true }).click();
    await page.getByRole('heading', { level: 1, name: '홈' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByText('한국어', { exact: true }).waitFor({ state: 'hidden' });
    assert.deepEqual(complaints, []);
  });

  test('an address that is no page says so in the console; a program gets the error', async (t) => {
    const { address, adminToken } = server();
    const { page, complaints, enter } = await visit(t, look);
    await enter(address, adminToken);
    for (const path of ['/dashboards/%', '/data/%ff/a', '/dashbords']) {
      await page.goto(`${address}${path}`);
      await page.getByRole('heading', { level: 1, name: 'There is no such page.' }).waitFor();
    }
    await page.getByRole('button', { name: 'Home' }).click();
    await page.getByRole('heading', { level: 1, name: 'Home' }).waitFor();
    assert.deepEqual(complaints, []);
    for (const [path, accept] of [
      ['/dashbords', '*/*'],
      ['/v1/nothing', 'text/html'],
      ['/v1/dashboards/%', 'text/html'],
      ['/v1/topics/%ff/records', '*/*'],
      [`/v1/dashboards/${'a'.repeat(300)}`, '*/*'],
      ['/assets/nothing.js', 'text/html'],
    ] as const) {
      const { status, text } = await send(address, 'GET', path, { accept });
      assert.equal(status, 404, path);
      assert.match(text, /ROUTE_UNKNOWN/, path);
    }
  });

  test('the answer before stays in sight while the next one is waited for', async (t) => {
    const { address, adminToken } = server();
    const { page, complaints, enter } = await visit(t, look);
    await enter(address, adminToken);
    await page.goto(`${address}/ask#${new URLSearchParams({ sql: 'SELECT 41 AS before' })}`);
    await page.getByRole('button', { name: 'Run' }).click();
    await page.getByRole('cell', { name: '41' }).waitFor();
    let answer = () => {};
    const held = new Promise<void>((resolve) => {
      answer = resolve;
    });
    await page.route('**/v1/query', async (route) => {
      await held;
      await route.continue();
    });
    await page.locator('.cm-content').click();
    await page.keyboard.press('Control+a');
    // Typed over what is selected, Chromium itself would keep its look in a style attribute, which the policy refuses.
    await page.keyboard.press('Delete');
    await page.keyboard.insertText('SELECT 42 AS after');
    await page.keyboard.press('Control+Enter');
    await page.getByRole('button', { name: 'Stop' }).waitFor();
    assert.equal(await page.locator('[aria-busy="true"]').getByRole('cell', { name: '41' }).count(), 1);
    answer();
    await page.getByRole('cell', { name: '42' }).waitFor();
    assert.equal(await page.getByRole('cell', { name: '41' }).count(), 0);
    assert.deepEqual(complaints, []);
  });

  test('everything is reached by the keyboard: skip link, find, and back to the page', async (t) => {
    const { address, adminToken } = server();
    const { page, complaints, enter } = await visit(t, { language: 'en', scheme: 'dark', width: 1440 });
    await enter(address, adminToken);
    await page.getByRole('heading', { level: 1, name: 'Home' }).waitFor();
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate('document.activeElement?.className'), 'skip');
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'Find a page, table or dashboard' }).waitFor();
    await page.keyboard.type('dashb');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'Dashboards' }).waitFor();
    await page.goBack();
    await page.getByRole('heading', { level: 1, name: 'Home' }).waitFor();
    assert.deepEqual(complaints, []);
  });
});

test('who is not signed in sees the sign-in alone; the token in an address is taken out of it', { skip: withoutBrowser }, async (t) => {
  const { address, setupToken } = await millrace(t);
  const { page, violations } = await visit(t, { language: 'ko', scheme: 'light', width: 390 });
  await page.goto(`${address}/ask`);
  await page.getByRole('heading', { name: '로그인' }).waitFor();
  assert.deepEqual(await violations(), []);
  await page.getByRole('textbox').fill('mr_wrong');
  await page.getByRole('button', { name: '로그인' }).click();
  await page.getByText('없거나 이미 썼거나 만료된 토큰입니다.').waitFor();
  await page.goto(`${address}/#token=${setupToken}`);
  await page.getByRole('heading', { name: '홈' }).waitFor();
  assert.equal(page.url(), `${address}/`);
  // An empty workspace says how to begin.
  await page.getByRole('heading', { name: '내 데이터로 시작하기' }).waitFor();
  assert.deepEqual(await violations(), []);
});
