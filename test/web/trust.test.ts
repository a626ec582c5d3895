import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Page, Route } from 'playwright-core';
import type { DashboardAnswer } from '#server';
import { freeTable, tableOfFile, tableWord } from '../../web/sql.ts';
import { type Look, visit, withoutBrowser } from './browser.ts';
import { millrace, send } from './server.ts';

const look: Look = { language: 'en', scheme: 'light', width: 1440 };
const refused = { code: 'QUERY_TIME', message: 'It took too long.', remedy: '', retryable: false, params: { seconds: 1 } };

const dashboards = {
  compared: {
    title: 'Compared',
    tiles: [
      {
        title: 'Days',
        chart: 'line',
        x: 'day',
        y: 'sales',
        width: 12,
        sql: 'SELECT d::DATE AS day, 5 AS sales FROM range($from::DATE, $to::DATE, INTERVAL 1 DAY) r(d)',
      },
    ],
  },
  stale: {
    title: 'Stale',
    tiles: [
      { title: 'Bars', chart: 'bar', x: 'k', y: 'n', width: 6, sql: 'SELECT i % 3 AS k, 1 AS n FROM range(6) r(i)' },
      { title: 'Figure', chart: 'number', width: 6, sql: 'SELECT sum(n) AS total FROM main.numbers' },
    ],
  },
  itself: {
    title: 'Itself',
    filters: [{ name: 'side', sql: "SELECT unnest(['left', 'right'])" }],
    tiles: [
      { title: 'Sides', chart: 'bar', filter: 'side', drill: 'itself', sql: "SELECT 'left' AS side, 5 AS n UNION ALL SELECT 'right', 5" },
      { title: 'Chosen', chart: 'table', sql: "SELECT 'side: ' || coalesce($side, 'none') AS side" },
    ],
  },
  moved: {
    title: 'Moved',
    tiles: ['A', 'B', 'C'].map((title) => ({ title, width: 4, height: 3, chart: 'number', sql: `SELECT ${title.charCodeAt(0)} AS n` })),
  },
};

function prepared(path: string): void {
  mkdirSync(join(path, 'dashboards'));
  // JSON is YAML.
  for (const [name, definition] of Object.entries(dashboards))
    writeFileSync(join(path, 'dashboards', `${name}.yaml`), JSON.stringify(definition));
}

interface Question {
  readonly params?: { readonly from?: string };
}

/** The server's own answers, but an error where `fails` says so. */
async function failing(route: Route, fails: (question: Question, all: readonly Question[]) => boolean): Promise<void> {
  const { questions } = route.request().postDataJSON() as { questions: Question[] };
  const response = await route.fetch();
  const lines = (await response.text()).split('\n').filter((line) => line !== '');
  const changed = lines.map((line) => {
    const { at } = JSON.parse(line) as { at: number };
    return fails(questions[at]!, questions) ? JSON.stringify({ at, error: refused }) : line;
  });
  await route.fulfill({ response, body: `${changed.join('\n')}\n` });
}

const tileOf = (page: Page, title: string) =>
  page.locator('.tile').filter({ has: page.getByRole('heading', { name: title, exact: true }) });

describe('what the console does not know', { skip: withoutBrowser }, () => {
  let server: Awaited<ReturnType<typeof millrace>>;
  let end = async () => {};
  const asked = async (sql: string) => {
    const answer = await send(server.address, 'POST', '/v1/query', { authorization: `Bearer ${server.adminToken}` }, { sql });
    assert.equal(answer.status, 200, answer.text);
    return answer.json<{ rows: unknown[][] }>().rows;
  };
  before(async () => {
    server = await millrace({ after: (fn) => (end = fn) }, prepared);
    await asked('CREATE TABLE main.numbers AS SELECT 21 AS n FROM range(2)');
  });
  after(() => end());

  test('a period is compared with the one before it alone: where that could not be asked it says so, and draws no other', async (t) => {
    const { page, enter } = await visit(t, look);
    await enter(server.address, server.adminToken);
    await page.goto(`${server.address}/dashboards/compared?range=7d&compare=previous`);
    const tile = tileOf(page, 'Days');
    const canvas = tile.locator('.canvas[data-drawn]');
    await canvas.waitFor();
    // What is drawn, as it is told to those who can't see it.
    const told = () => canvas.getAttribute('aria-label');
    const drawn = async (as: RegExp) => {
      for (let tries = 0; tries < 200 && !as.test((await told()) ?? ''); tries++) await page.waitForTimeout(50);
      assert.match((await told()) ?? '', as);
    };
    await drawn(/representing sales.*representing Previous period/s);
    const earliest = (all: readonly Question[]) => all.map(({ params }) => params?.from ?? '').sort()[0];
    await page.route('**/v1/questions', (route) => failing(route, ({ params }, all) => all.length > 1 && params?.from === earliest(all)));
    await page.getByRole('combobox', { name: 'Time', exact: true }).click();
    await page.getByRole('option', { name: 'Last 30 days' }).click();
    await tile.getByText('Without the period before').waitFor();
    await drawn(/sales/);
    assert.doesNotMatch((await told())!, /Previous period/, 'the week before last is not the month before');
  });

  test('a tile whose refresh fails keeps its chart, with its age and what went wrong beside it', async (t) => {
    const { page, enter, violations } = await visit(t, look);
    await enter(server.address, server.adminToken);
    await page.goto(`${server.address}/dashboards/stale`);
    const bars = tileOf(page, 'Bars');
    await bars.locator('.canvas[data-drawn]').waitFor();
    await tileOf(page, 'Figure').getByText('42', { exact: true }).waitFor();
    await page.route('**/v1/questions', (route) => failing(route, () => true));
    await page.getByRole('button', { name: 'Refresh', exact: true }).click();
    await bars.getByText(/^as of .* · /).waitFor();
    assert.equal(await bars.locator('.canvas[data-drawn]').isVisible(), true);
    assert.equal(await tileOf(page, 'Figure').getByText('42', { exact: true }).isVisible(), true);
    assert.equal(await page.locator('.tile .problem').count(), 0);
    assert.deepEqual(await violations(), []);
    await page.unroute('**/v1/questions');
    await bars.getByRole('button', { name: 'Try again' }).click();
    await bars.getByText(/^as of /).waitFor({ state: 'detached' });
  });

  test('home does not say that nothing needs attention while it can’t know', async (t) => {
    const { page, enter } = await visit(t, look);
    const away = (route: Route) =>
      route.fulfill({ status: 500, contentType: 'application/json', body: JSON.stringify({ error: { ...refused, code: 'INTERNAL' } }) });
    for (const [path, word] of [
      ['/v1/views', 'views'],
      ['/v1/transfers', 'transfers'],
      ['/v1/quarantine/counts', 'quarantine'],
      ['/v1/topics', 'topics'],
      ['/v1/dashboards', 'dashboards'],
    ] as const) {
      await page.route(`**${path}`, away);
      await enter(server.address, server.adminToken);
      await page.getByText(`Not known at the moment: ${word}`, { exact: true }).waitFor();
      assert.equal(await page.getByText('Nothing. Every record').count(), 0, path);
      await page.unroute(`**${path}`);
      await page.getByRole('button', { name: 'Try again' }).click();
      await page.getByText('Nothing. Every record').waitFor();
      await page.goto('about:blank');
    }
  });

  test('the page of a view says that it is paused and why, and lets it go on', async (t) => {
    await asked('CREATE TABLE main.divided AS SELECT 1 AS k, 5 AS n');
    await asked('CREATE MATERIALIZED VIEW mart.kept AS SELECT k, sum(n) AS total FROM main.divided GROUP BY k');
    await asked('PAUSE MATERIALIZED VIEW mart.kept');
    const { page, enter, complaints, violations } = await visit(t, look);
    await enter(server.address, server.adminToken);
    await page.getByRole('link', { name: 'Open' }).click();
    const fresh = page.locator('.card').filter({ has: page.getByRole('heading', { name: 'Freshness' }) });
    await fresh.getByText('Paused.').waitFor();
    assert.deepEqual(await violations(), []);
    await asked('INSERT INTO main.divided VALUES (1, 7)');
    await fresh.getByRole('button', { name: 'Resume' }).click();
    await fresh.getByText('Up to date.').waitFor();
    assert.deepEqual(await asked('SELECT total FROM mart.kept'), [[12]]);
    // The table that it reads tells when it was written last.
    const written = await asked("SELECT count(*) FROM millrace.batch WHERE target = 'main.divided'");
    await page.goto(`${server.address}/data/main/divided`);
    assert.ok(Number(written[0]![0]) > 0);
    await page.getByText(/^Last written .*: batch /).waitFor();
    assert.deepEqual(complaints, []);
  });

  test('a file is no other file’s rows: of one name the second becomes a table of its own, unless one says otherwise', async (t) => {
    const { page, enter, complaints } = await visit(t, look);
    await enter(server.address, server.adminToken);
    const drop = async (name: string, rows: string) => {
      const dropped = await page.evaluateHandle(`(() => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([${JSON.stringify(rows)}], ${JSON.stringify(name)}, { type: 'text/csv' }));
        return transfer;
      })()`);
      await page.dispatchEvent('body', 'drop', { dataTransfer: dropped });
    };
    const dialog = page.getByRole('dialog');
    const load = async (name: string, expected: string) => {
      await drop(name, 'a,b\n1,2\n');
      for (let tries = 0; tries < 200 && (await dialog.getByRole('textbox').inputValue()) !== expected; tries++)
        await page.waitForTimeout(50);
      assert.equal(await dialog.getByRole('textbox').inputValue(), expected);
    };
    // As a Mac spells it.
    await load('주문.csv'.normalize('NFD'), 'main.주문');
    await dialog.getByRole('button', { name: 'Load', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: 'main.주문' }).waitFor();
    await dialog.waitFor({ state: 'detached' });
    await load('주문.csv', 'main.주문_2');
    await dialog.getByText('main.주문 is there already').waitFor();
    await dialog.getByRole('button', { name: 'Load', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: 'main.주문_2' }).waitFor();
    await dialog.waitFor({ state: 'detached' });
    assert.deepEqual(await asked('SELECT count(*) FROM main.주문'), [[1]]);
    await load('주문.csv', 'main.주문_3');
    await dialog.getByRole('button', { name: 'Load into main.주문', exact: true }).click();
    await dialog.getByText('The rows come to the 1 that main.주문 has now.').waitFor();
    await dialog.getByRole('button', { name: 'Load', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: 'main.주문' }).waitFor();
    await dialog.waitFor({ state: 'detached' });
    assert.deepEqual(await asked('SELECT count(*) FROM main.주문'), [[2]]);
    assert.deepEqual(complaints, []);
  });

  test('a click that drills to the dashboard that is open sets its filter, and the way back takes it off', async (t) => {
    const { page, enter, complaints } = await visit(t, look);
    await enter(server.address, server.adminToken);
    await page.goto(`${server.address}/dashboards/itself`);
    await page.getByText('side: none').waitFor();
    const canvas = page.locator('.canvas[data-drawn]');
    await canvas.waitFor();
    const { x, y, width, height } = (await canvas.boundingBox())!;
    await page.mouse.click(x + width * 0.28, y + height * 0.7);
    await page.getByText('side: left').waitFor();
    assert.match(page.url(), /f\.side=left/);
    await page.goBack();
    await page.getByText('side: none').waitFor();
    assert.deepEqual(complaints, []);
  });

  test('a new dashboard’s first tile is answered', async (t) => {
    const { page, enter, complaints } = await visit(t, look);
    await enter(server.address, server.adminToken);
    await page.goto(`${server.address}/dashboards`);
    await page.getByRole('button', { name: 'New dashboard' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('textbox').fill('fresh');
    await dialog.getByRole('button', { name: 'New dashboard' }).click();
    await page.locator('.tile .grid-frame, .tile .tile-empty').waitFor();
    assert.deepEqual(complaints, []);
  });

  test('a figure is asked why like a cell', async (t) => {
    const { page, enter, complaints } = await visit(t, look);
    await enter(server.address, server.adminToken);
    await page.goto(`${server.address}/dashboards/stale`);
    await tileOf(page, 'Figure').getByRole('button', { name: '42', exact: true }).click();
    await page
      .getByRole('dialog')
      .getByRole('heading', { name: /^Rows behind it: 2/ })
      .waitFor();
    assert.deepEqual(complaints, []);
  });

  test('a tile is moved and sized by the pointer, and the place where it would go is marked meanwhile', async (t) => {
    const { page, enter, complaints } = await visit(t, look);
    await enter(server.address, server.adminToken);
    await page.goto(`${server.address}/dashboards/moved`);
    await page.getByRole('button', { name: 'Edit', exact: true }).click();
    const middle = async (name: string | RegExp) => {
      const { x, y, width, height } = (await page.getByRole('button', { name }).boundingBox())!;
      return { x: x + width / 2, y: y + height / 2 };
    };
    const titles = () => page.locator('.tile h2').allTextContents();
    await page.locator('.tile').nth(2).waitFor();
    const grip = await middle('Move A');
    await page.mouse.move(grip.x, grip.y);
    await page.mouse.down();
    const c = (await tileOf(page, 'C').boundingBox())!;
    await page.mouse.move(c.x + c.width / 2, c.y + c.height / 2, { steps: 4 });
    assert.deepEqual(await page.locator('.tile[data-drop] h2').allTextContents(), ['C']);
    await page.mouse.up();
    assert.deepEqual(await titles(), ['B', 'C', 'A']);
    assert.equal(await page.locator('.tile[data-drop]').count(), 0);

    const { width: before, height: tall } = (await tileOf(page, 'B').boundingBox())!;
    const corner = await middle(/^Resize B/);
    await page.mouse.move(corner.x, corner.y);
    await page.mouse.down();
    // Half a tile wider, and two rows of 64 px with their gaps taller.
    await page.mouse.move(corner.x + before / 2, corner.y + 160, { steps: 4 });
    await page.getByText('6 × 5', { exact: true }).waitFor();
    await page.mouse.up();
    const after = (await tileOf(page, 'B').boundingBox())!;
    assert.ok(after.width > before * 1.4 && after.height > tall + 120, JSON.stringify(after));
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByRole('button', { name: 'Edit', exact: true }).waitFor();
    const saved = await send(server.address, 'GET', '/v1/dashboards/moved', { authorization: `Bearer ${server.adminToken}` });
    const { dashboard } = saved.json<DashboardAnswer>();
    assert.deepEqual(
      dashboard!.tiles.map(({ title, width, height }) => [title, width, height]),
      [
        ['B', 6, 5],
        ['C', 4, 3],
        ['A', 4, 3],
      ],
    );
    assert.deepEqual(complaints, []);
  });
});

test('a file’s table keeps the letters that a table may have', () => {
  for (const [file, table] of [
    ['주문.csv', 'main.주문'],
    ['2024 주문 (최종).xlsx', 'main.t_2024_주문_최종'],
    ['Online Retail (2011).csv', 'main.online_retail_2011'],
    ['売上.tsv.gz', 'main.売上'],
    ['---.csv', 'main.loaded'],
    ['Café.csv', 'main.caf'],
    [`${'한'.repeat(80)}.csv`, `main.${'한'.repeat(63)}`],
  ])
    assert.equal(`main.${tableOfFile(file!)}`, table);
  assert.equal(tableWord('café 주문'), 'caf_주문');
  const taken = new Set(['주문', '주문_2', '한'.repeat(63)]);
  assert.equal(
    freeTable('주문', (word) => taken.has(word)),
    '주문_3',
  );
  assert.equal(
    freeTable('한'.repeat(63), (word) => taken.has(word)),
    `${'한'.repeat(61)}_2`,
  );
});
