/** Each page's main story, told to a real browser on a workspace that the main job has filled. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { type Started, startMillrace } from '#server';
import { en } from '../../web/words/en.ts';
import { ko } from '../../web/words/ko.ts';
import type { Look, Visit } from './browser.ts';
import { ready, root, send } from './server.ts';

export const data = process.env['MILLRACE_DATA'] ?? join(root, '..', 'shared', 'data');
export const withoutData = existsSync(data) ? false : 'the real data is absent (MILLRACE_DATA)';

/** Fills a workspace with an export of the Google Merchandise Store, with its tables and its dashboard. */
export async function fill(path: string, from: 'ga-merch-sessions' | 'ga4-merch-store'): Promise<void> {
  const main = join(root, 'src', 'cli', 'main.ts');
  await promisify(execFile)(
    process.execPath,
    ['--conditions=source', main, 'demo', '--workspace', path, '--data', join(data, from), '--exit'],
    {
      maxBuffer: 64 * 2 ** 20,
    },
  );
}

/** A Millrace of that day, with a model; closed by the suite's end. */
export function storeOfOneDay(): () => Started {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-console-'));
  let server: Started;
  before(async () => {
    await fill(join(folder, 'store'), 'ga-merch-sessions');
    server = await startMillrace({ workspace: join(folder, 'store'), log: null });
    await ready(server.address);
    await train(server.address, server.adminToken);
  });
  after(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  return () => server;
}

interface Story {
  readonly address: string;
  /** An administrator's. */
  readonly token: string;
  readonly look: Look;
  readonly visit: Visit;
}

const books = { en, ko };

/** After each story: nothing was complained of, no serious violation, and the page does not scroll sideways. */
export async function sound({ visit, look }: Pick<Story, 'visit' | 'look'>, name: string): Promise<void> {
  const { page } = visit;
  await visit.shot(name);
  assert.deepEqual(visit.complaints, [], name);
  assert.deepEqual(await visit.violations(), [], name);
  assert.equal(await page.evaluate('document.documentElement.scrollWidth'), look.width, `${name} scrolls sideways`);
}

export const stories: Readonly<Record<string, (story: Story) => Promise<void>>> = {
  async home(story) {
    const { visit, look, address } = story;
    const { page } = visit;
    const words = books[look.language];
    await page.goto(`${address}/`);
    await page.getByRole('heading', { level: 1, name: words.home }).waitFor();
    const stages = page.locator('.flow-stage');
    assert.equal(await stages.count(), 5);
    // 13,233 hits of 2,556 sessions: the staging table, the topic's table and the marts.
    await stages.nth(2).locator('.figure[title]').waitFor();
    assert.ok(Number((await stages.nth(2).locator('.figure').getAttribute('title'))!.replaceAll(/\D/g, '')) >= 13_233 + 2_556);
    await page.getByRole('link', { name: 'ga_hits' }).waitFor();
    await page.getByText(words.attention_none).waitFor();
    await sound(story, 'home');
  },

  async ask(story) {
    const { visit, look, address } = story;
    const { page } = visit;
    const words = books[look.language];
    await page.goto(`${address}/ask`);
    await page.locator('.cm-content').click();
    await page.keyboard.insertText('SELECT chanel, count(*) AS sessions FROM mart.sessions GROUP BY 1');
    await page.keyboard.press('Control+Enter');
    await page.getByRole('alert').getByText('SQL_FAILED').waitFor();
    // The mark stands under the wrong word.
    assert.equal(await page.locator('.cm-lintRange-error').first().textContent(), 'chanel');
    await sound(story, 'ask-error');
    await page.keyboard.press('Control+a');
    // Typed over a marked word, Chromium itself would keep its look in a style attribute, which the policy refuses.
    await page.keyboard.press('Delete');
    await page.keyboard.insertText('SELECT channel, count(*) AS sessions FROM mart.sessions GROUP BY 1 ORDER BY 2 DESC');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+Enter');
    const table = page.getByRole('table', { name: words.as_table });
    await table.getByRole('cell', { name: 'Organic Search' }).waitFor();
    assert.equal(await page.locator('.cm-lintRange-error').count(), 0);
    await sound(story, 'ask-table');
    await page.getByText(words.as_chart, { exact: true }).click();
    await page.locator('.canvas[data-drawn]').waitFor();
    await sound(story, 'ask-chart');
  },

  async dashboard(story) {
    const { visit, look, address } = story;
    const { page } = visit;
    await page.goto(`${address}/dashboards`);
    await page.getByRole('link', { name: 'Google Analytics sessions' }).click();
    const tile = (title: string) => page.locator('.tile').filter({ has: page.getByRole('heading', { name: title, exact: true }) });
    // The source's own number of sessions; its 45 transactions are 43 orders, each counted once at its highest value.
    await tile('Sessions').getByText('2,556').waitFor();
    await tile('Revenue').getByText('8,736.14').waitFor();
    await page.locator('.canvas[data-drawn]').nth(3).waitFor();
    await sound(story, 'dashboard');
    const { combobox, word } = { combobox: page.getByRole('combobox', { name: 'Device' }), word: 'mobile' };
    await combobox.click();
    await page.getByRole('option', { name: word }).click();
    await tile('Sessions').getByText('2,556').waitFor({ state: 'hidden' });
    assert.match(page.url(), /f\.device=mobile/);
    await page.reload();
    await page.locator('.big-value').nth(2).waitFor();
    assert.notEqual(await tile('Sessions').locator('.big-value').textContent(), '2,556', `the address keeps the choice (${look.language})`);
  },

  async data(story) {
    const { visit, look, address } = story;
    const { page } = visit;
    const words = books[look.language];
    await page.goto(`${address}/data`);
    await page.getByRole('textbox', { name: words.catalog_search }).fill('landing_page');
    await page.getByRole('link', { name: /sessions.*landing_page/ }).waitFor();
    await sound(story, 'data');
    await page.getByRole('link', { name: /sessions.*landing_page/ }).click();
    const row = page.locator('.profile tbody tr').filter({ hasText: 'landing_page' });
    await row
      .filter({ hasText: /varchar.*0%/ })
      .locator('svg')
      .waitFor();
    await page.getByRole('table', { name: words.sample }).waitFor();
    await sound(story, 'table');
    await page.goto(`${address}/data/topics/ga_hits`);
    await page.getByText(words.quarantine_empty).waitFor();
    // The newest of 13,233 hits, as they came.
    await page.getByRole('table', { name: words.tail }).getByRole('row').nth(5).waitFor();
    await sound(story, 'topic');
  },

  async editing(story) {
    const { visit, look, address, token } = story;
    const { page } = visit;
    const words = books[look.language];
    const name = `edit-${look.language}-${look.scheme}-${look.width}`;
    const admin = { authorization: `Bearer ${token}` };
    const text = `# kept\ntitle: Channels\nfilters:\n  - name: device\n    title: Device\n    sql: SELECT DISTINCT device FROM mart.sessions ORDER BY 1\ntiles:\n  - title: By device\n    chart: bar\n    filter: device\n    sql: SELECT device, count(*) AS sessions FROM mart.sessions GROUP BY 1 ORDER BY 2 DESC\n  - title: Sessions\n    chart: number\n    sql: SELECT count(*) AS n FROM mart.sessions WHERE $device IS NULL OR device = $device\n`;
    const made = await send(address, 'PUT', `/v1/dashboards/${name}`, admin, { text, version: null });
    assert.equal(made.status, 200, made.text);
    await page.goto(`${address}/dashboards/${name}`);
    const tile = (title: string) => page.locator('.tile').filter({ has: page.getByRole('heading', { name: title, exact: true }) });
    await tile('Sessions').getByText('2,556').waitFor();
    await page.getByRole('button', { name: words.edit, exact: true }).click();
    const size = tile('Sessions').locator('.tile-size');
    const wide = async () =>
      (await size.getAttribute('aria-label'))!
        .match(/(\d+) × (\d+)/)!
        .slice(1)
        .map(Number);
    assert.deepEqual(await wide(), [3, 2]);
    if (look.width > 760) {
      await size.press('ArrowRight');
      assert.deepEqual(await wide(), [4, 2]);
      await page.getByRole('button', { name: words.undo }).click();
      assert.deepEqual(await wide(), [3, 2]);
      await page.getByRole('button', { name: words.redo }).click();
      assert.deepEqual(await wide(), [4, 2]);
    }
    await page.getByRole('button', { name: words.move_tile.replace('{tile}', 'Sessions') }).press('ArrowLeft');
    assert.equal(await page.locator('.tile h2').first().textContent(), 'Sessions');
    await sound(story, 'dashboard-editing');
    await page.getByRole('button', { name: words.add_tile }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('textbox', { name: words.title }).fill('Countries');
    await dialog.locator('.cm-content').click();
    await page.keyboard.insertText('SELECT country, count(*) AS sessions FROM mart.sessions GROUP BY 1 ORDER BY 2 DESC LIMIT 5');
    await page.keyboard.press('Escape');
    await dialog.getByRole('button', { name: words.run }).click();
    await dialog.locator('.canvas[data-drawn]').waitFor();
    await sound(story, 'dashboard-tile');
    await dialog.getByRole('button', { name: words.apply }).click();
    await page.getByRole('button', { name: words.save, exact: true }).click();
    await page.getByRole('button', { name: words.edit, exact: true }).waitFor();
    await tile('Countries').locator('.canvas[data-drawn]').waitFor();
    const { text: saved } = (await send(address, 'GET', `/v1/dashboards/${name}`, admin)).json<{ text: string }>();
    assert.match(saved, /^# kept\n/);
    assert.match(saved, /title: Sessions[\s\S]*title: By device[\s\S]*title: Countries/);
    // A click on the longest bar sets the filter, and the other tiles follow: 1,742 of the sessions came from desktops.
    const canvas = (await tile('By device').locator('.canvas').boundingBox())!;
    await page.mouse.click(canvas.x + canvas.width * 0.22, canvas.y + canvas.height * 0.8);
    await page.waitForURL(/f\.device=desktop/);
    await tile('Sessions').getByText('2,556').waitFor({ state: 'hidden' });
    await tile('Sessions').locator('.big-value').waitFor();
  },

  async why(story) {
    const { visit, look, address } = story;
    const { page } = visit;
    const words = books[look.language];
    await page.goto(`${address}/dashboards/shop`);
    const menu = async (title: string, item: string) => {
      await page.getByRole('button', { name: `${words.tile_menu}: ${title}`, exact: true }).click();
      await page.getByRole('menuitem', { name: item, exact: true }).click();
    };
    await page.locator('.big-value').nth(2).waitFor();
    await menu('From visit to purchase', words.why);
    const dialog = page.getByRole('dialog');
    await dialog.locator('.why-table').getByRole('link', { name: 'raw.ga_hits', exact: true }).waitFor();
    await dialog.locator('.why-table').getByRole('link', { name: 'mart.sessions', exact: true }).waitFor();
    assert.match((await dialog.textContent())!, /13,233/);
    await sound(story, 'why');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    for (const [kind, begins] of [
      ['PNG', /^\x89PNG/],
      ['SVG', /^<svg/],
      ['CSV', /^\xef\xbb\xbfstep,sessions\r\nVisit,2556\r\n/],
      ['XLSX', /^PK\x03\x04/],
    ] as const) {
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        menu('From visit to purchase', words.save_as.replace('{kind}', kind)),
      ]);
      assert.equal(download.suggestedFilename(), `From-visit-to-purchase.${kind.toLowerCase()}`);
      assert.match(readFileSync(await download.path()).toString('latin1'), begins);
    }
  },

  async sharing(story) {
    const { visit, look, address } = story;
    const { page, context } = visit;
    const words = books[look.language];
    await page.goto(`${address}/dashboards/shop?range=all&f.device=mobile`);
    await page.getByRole('button', { name: words.share, exact: true }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('Device: mobile').waitFor();
    await dialog.getByRole('button', { name: words.share_make }).click();
    const link = (await dialog.locator('.copied code').textContent())!;
    await sound(story, 'share');
    await context.clearCookies();
    await page.goto(link);
    const sessions = page.locator('.tile').filter({ has: page.getByRole('heading', { name: 'Sessions', exact: true }) });
    await sessions.getByText('725').waitFor();
    await page.locator('.canvas[data-drawn]').nth(3).waitFor();
    assert.equal(await page.locator('.rail').count(), 0);
    await sound(story, 'shared');
    await page.goto(`${link.slice(0, -2)}xx`);
    await page.reload();
    await page.getByText('LINK_INVALID').waitFor();
    await visit.enter(address, story.token);
  },

  async answers(story) {
    const { visit, look, address } = story;
    const { page } = visit;
    const words = books[look.language];
    await page.goto(`${address}/answers`);
    await page.getByRole('link', { name: look.language === 'ko' ? '방문자는 어디까지 오는가' : 'How far do visitors come' }).waitFor();
    await sound(story, 'answers');
    await page.goto(`${address}/answers/retention`);
    await page.getByRole('button', { name: words.answer_run, exact: true }).click();
    await page.getByText(look.language === 'ko' ? '쓴 이벤트: 13,233' : 'events used: 13,233', { exact: false }).waitFor();
    await page.locator('.canvas[data-drawn]').waitFor();
    await sound(story, 'answer');
    await page.locator('.result-bar').getByText(words.as_table, { exact: true }).click();
    await page.getByRole('table', { name: words.as_table }).locator('.grid-cell').first().click();
    await page.getByRole('dialog').getByRole('heading', { name: words.why_statement }).waitFor();
    await page.getByRole('dialog').getByRole('link', { name: 'raw.ga_hits' }).first().waitFor();
    await sound(story, 'answer-why');
  },

  /** What an answer stands on goes with it: to Ask, to a tile, to whoever is sent a link. */
  async evidence(story) {
    const { visit, look, address, token } = story;
    const { page, context } = visit;
    const words = books[look.language];
    // The day's hits, of which none is set aside.
    const used = look.language === 'ko' ? '쓴 이벤트: 13,233' : 'events used: 13,233';
    const version = look.language === 'ko' ? '데이터 버전(배치)' : 'data version (batch)';
    await page.goto(`${address}/ask#${new URLSearchParams({ sql: 'SELECT * FROM answers.retention()' })}`);
    await page.getByRole('button', { name: words.run }).click();
    await page.locator('p.evidence').filter({ hasText: used }).filter({ hasText: version }).waitFor();
    await sound(story, 'ask-evidence');
    const name = `stands-${look.language}-${look.scheme}-${look.width}`;
    const definition = {
      title: 'What it stands on',
      tiles: [
        { title: 'Who comes back', answer: 'retention' },
        {
          title: 'Steps',
          chart: 'number',
          y: 'entered',
          sql: "SELECT entered FROM answers.funnel(steps := 'page_view,view_item') LIMIT 1",
        },
        { title: 'Sessions', chart: 'number', sql: 'SELECT count(*) FROM mart.sessions' },
        { title: 'Scores', chart: 'table', model: 'main.stays' },
      ],
    };
    const made = await send(address, 'PUT', `/v1/dashboards/${name}`, { authorization: `Bearer ${token}` }, { definition, version: null });
    assert.equal(made.status, 200, made.text);
    const tile = (title: string) => page.locator('.tile').filter({ has: page.getByRole('heading', { name: title, exact: true }) });
    const told = async () => {
      const line = tile('Who comes back').getByRole('button', { name: used });
      await line.waitFor();
      assert.equal(await tile('Sessions').locator('.tile-evidence').count(), 0);
      await tile('Steps').locator('.tile-evidence button').waitFor();
      await line.click();
      await page.getByRole('dialog').getByText(version).waitFor();
    };
    await page.goto(`${address}/dashboards/${name}`);
    await told();
    await sound(story, 'tile-evidence');
    // Wherever the focus is.
    await page.evaluate('document.activeElement.blur()');
    await page.keyboard.press('Escape');
    const dialog = page.getByRole('dialog');
    await dialog.waitFor({ state: 'hidden' });
    // Why opens the answer: its SQL, the table of its events.
    await tile('Who comes back').getByRole('button', { name: words.tile_menu }).click();
    await page.getByRole('menuitem', { name: words.why }).click();
    await dialog.locator('p.evidence').filter({ hasText: used }).waitFor();
    await dialog.getByText(words.why_opened).click();
    await dialog.getByText('raw"."ga_hits').first().waitFor();
    await dialog.locator('.why-table').getByRole('link', { name: 'raw.ga_hits', exact: true }).waitFor();
    await sound(story, 'why-answer');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    // A score of a model stands on no rows that could be shown, but on a table.
    await tile('Scores')
      .getByRole('button', { name: /^0\.\d+$/ })
      .first()
      .click();
    await dialog.getByText(words.why_untold_model).waitFor();
    await dialog.locator('.why-table').getByRole('link', { name: 'main.stays', exact: true }).waitFor();
    await dialog.getByText(words.why_of.replace('{table}', 'main.stays')).first().waitFor();
    await dialog.locator('.why-table').getByRole('link', { name: 'mart.sessions', exact: true }).waitFor();
    await sound(story, 'why-model');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    await page.getByRole('button', { name: words.share }).click();
    await page.getByRole('dialog').getByRole('button', { name: words.share_make }).click();
    const link = (await page.getByRole('dialog').locator('.copied code').textContent())!;
    await context.clearCookies();
    await page.goto(link);
    await told();
    await sound(story, 'shared-evidence');
    await visit.enter(address, story.token);
  },

  async models(story) {
    const { visit, look, address, token } = story;
    const { page } = visit;
    const words = books[look.language];
    await page.goto(`${address}/models`);
    await page.getByRole('link', { name: 'main.stays' }).click();
    await page.getByRole('heading', { name: words.model_confusion }).waitFor();
    await page.locator('.narrow tbody tr').nth(1).waitFor();
    // ROC, precision and recall, gain, lift; two of the probabilities; one of each column.
    for (const title of [words.curves, words.calibration, words.dependence])
      await page.getByRole('heading', { level: 2, name: title, exact: true }).waitFor();
    for (const title of ['channel', 'device', 'country', words.curve_roc, words.curve_lift, words.calibration_title])
      await page
        .locator('figure', { has: page.getByRole('heading', { level: 3, name: title, exact: true }) })
        .locator('.canvas[data-drawn]')
        .waitFor();
    assert.equal(await page.locator('figure .canvas').count(), 4 + 2 + 3);
    // What stands above a picture is what SQL says of the same rows.
    const asked = await send(
      address,
      'POST',
      '/v1/query',
      { authorization: `Bearer ${token}` },
      { sql: 'SELECT roc_auc FROM ML.EVALUATE(MODEL stays)' },
    );
    const auc = asked.json<{ rows: [number][] }>().rows[0]![0];
    const told = auc.toLocaleString(look.language, { style: 'percent', maximumFractionDigits: 1 });
    await page.getByText(words.curve_roc_says.replace('{what}', 'stays = true').replace('{auc}', told)).waitFor();
    // A right yes earns 100 and a wrong one costs 20: acting pays from a sixth on.
    const sixth = (1 / 6).toLocaleString(look.language, { style: 'percent', maximumFractionDigits: 1 });
    await page
      .locator('.money')
      .getByText(words.model_money_from.split(': ')[0]!.split('{profit}')[0]!.trim().replace('{threshold}', sixth))
      .waitFor();
    const channel = page.locator('.inputs').getByLabel('channel', { exact: true });
    // It begins with the most frequent one, and offers the others.
    assert.equal(await channel.inputValue(), 'Organic Search');
    await channel.click();
    await page.getByRole('option', { name: 'Referral' }).click();
    await page.getByRole('button', { name: words.model_predict, exact: true }).click();
    await page.locator('.predicted').waitFor();
    const moved = page.locator('.moved');
    await moved.getByRole('row').filter({ hasText: 'channel' }).getByText('Referral').waitFor();
    await page.getByRole('button', { name: words.model_compare, exact: true }).click();
    await page.locator('.compared tbody tr').nth(2).waitFor();
    await sound(story, 'model');
  },

  async clusters(story) {
    const { visit, look, address, token } = story;
    const { page } = visit;
    const words = books[look.language];
    await page.goto(`${address}/models`);
    await page.getByRole('link', { name: 'main.kinds' }).click();
    const clusters = page.locator('.clusters');
    await clusters.getByRole('heading', { name: words.model_clusters }).waitFor();
    await clusters.getByRole('row').filter({ hasText: 'channel' }).waitFor();
    // Every session is in one of them, and each has the mean that its own rows have.
    const asked = await send(
      address,
      'POST',
      '/v1/query',
      { authorization: `Bearer ${token}` },
      {
        sql: 'SELECT centroid_id, count(*), avg(hits) FROM ML.PREDICT(MODEL kinds, (SELECT hits, channel FROM mart.sessions)) GROUP BY 1 ORDER BY 1',
      },
    );
    const told = asked.json<{ rows: [number, number, number][] }>().rows;
    const head = (await clusters.locator('thead th').allTextContents()).slice(1);
    const means = (await clusters.getByRole('row').filter({ hasText: 'hits' }).locator('td').allTextContents()).map(Number);
    assert.equal(head.length, told.length);
    for (const [id, count, mean] of told) {
      assert.ok(head[id - 1]!.includes(count.toLocaleString('en')), `${head[id - 1]} and ${count}`);
      assert.ok(Math.abs(means[id - 1]! - mean) < 0.01 * mean, `${means[id - 1]} and ${mean}`);
    }
    await page.getByRole('button', { name: words.model_predict, exact: true }).click();
    await page.locator('.predicted').getByText(words.model_cluster.split(' ')[0]!).waitFor();
    assert.equal(await page.getByRole('button', { name: words.model_compare, exact: true }).count(), 0);
    await sound(story, 'clusters');
  },

  async admin(story) {
    const { visit, look, address } = story;
    const { page } = visit;
    const words = books[look.language];
    const name = `t-${look.language}-${look.scheme}-${look.width}`;
    await page.goto(`${address}/admin`);
    await page.getByText(words.quarantine_empty_all).waitFor();
    await page.getByRole('button', { name: words.token_new }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('textbox', { name: words.token_name }).fill(name);
    await dialog.getByRole('button', { name: words.token_make }).click();
    assert.match((await dialog.locator('.copied code').textContent())!, /^mr_/);
    await dialog.getByRole('button', { name: words.close }).click();
    await page.getByText(name).waitFor();
    await sound(story, 'admin');
    await page.locator('.item').filter({ hasText: name }).getByRole('button', { name: words.token_remove }).click();
    await dialog.getByRole('button', { name: words.token_remove }).click();
    await page.getByText(name).waitFor({ state: 'hidden' });
  },

  async clicking(story) {
    const { visit, look, address, token } = story;
    const { page } = visit;
    const words = books[look.language];
    await page.goto(`${address}/data/mart/sessions`);
    await page
      .getByRole('link', { name: `${words.node_dashboard} ` })
      .first()
      .waitFor();
    await sound(story, 'lineage');
    await page.getByRole('button', { name: words.ask_about, exact: true }).click();
    // What is asked shows at once: the sessions by day, which is one.
    await page.getByText('count(*) AS rows_counted').waitFor();
    const choose = async (label: string, option: string) => {
      await page.getByRole('combobox', { name: label, exact: true }).click();
      await page.getByRole('option', { name: option, exact: true }).click();
    };
    await choose(words.question_by, 'channel');
    await page.keyboard.press('Escape');
    await page.getByText(words.grain_none, { exact: true }).click();
    await page.getByText('SELECT "channel", count(*) AS rows_counted').waitFor();
    // Seven channels; the chart of the answer before may still be there.
    await page.locator('.result-facts').filter({ hasText: /^7\D/ }).waitFor();
    await page.locator('.canvas[data-drawn]').waitFor();
    await sound(story, 'ask-click');
    await page.getByRole('button', { name: words.save_tile }).click();
    const dialog = page.getByRole('dialog');
    const title = `By channel ${look.language} ${look.scheme} ${look.width}`;
    await dialog.getByRole('textbox', { name: words.title }).fill(title);
    await sound(story, 'save-tile');
    await dialog.getByRole('button', { name: words.save, exact: true }).click();
    await page.getByRole('heading', { level: 1, name: title }).waitFor();
    await page.locator('.canvas[data-drawn]').waitFor();
    await page.goto(`${address}/ask#${new URLSearchParams({ sql: 'SELECT count(*) AS n FROM mart.sessions WHERE channel = $channel' })}`);
    await page.getByRole('textbox', { name: 'channel', exact: true }).fill('Referral');
    await page.getByRole('button', { name: words.run }).click();
    const counted = await send(
      address,
      'POST',
      '/v1/query',
      { authorization: `Bearer ${token}` },
      { sql: "SELECT count(*) FROM mart.sessions WHERE channel = 'Referral'" },
    );
    const [[n]] = counted.json<{ rows: [[number]] }>().rows;
    assert.ok(n > 0);
    await page.getByRole('cell', { name: n.toLocaleString('en') }).waitFor();
    await page.getByRole('button', { name: words.save_query, exact: true }).click();
    const name = `referral-${look.language}-${look.scheme}-${look.width}`;
    await dialog.getByRole('textbox').fill(name);
    await dialog.getByRole('button', { name: words.save, exact: true }).click();
    await page.getByText(`queries/${name}.sql`).waitFor();
    await sound(story, 'ask-parameters');
  },
  /** From the demo's Home to a dashboard of one's own file behind a link, in at most eight clicks; choosing the file counts as one. */
  async newcomer(story) {
    const { visit, look, address } = story;
    const { page, context } = visit;
    const words = books[look.language];
    let clicks = 0;
    const click = async (name: string, within: Pick<typeof page, 'getByRole'> = page) => {
      clicks++;
      await within.getByRole('button', { name, exact: true }).click();
    };
    const dialog = page.getByRole('dialog');
    await page.goto(`${address}/`);
    const chooser = page.waitForEvent('filechooser');
    await click(words.first_load);
    clicks++;
    const name = `orders ${look.language} ${look.scheme} ${look.width}`;
    await (await chooser).setFiles({ name: `${name}.csv`, mimeType: 'text/csv', buffer: retailLines(12_000) });
    await dialog.getByRole('cell', { name: 'WHITE METAL LANTERN' }).first().waitFor();
    await sound(story, 'newcomer-load');
    await click(words.load_go, dialog);
    await page.getByRole('heading', { level: 1, name: `main.${name.replaceAll(' ', '_')}` }).waitFor();
    await click(words.ask_about);
    await page.locator('.canvas[data-drawn]').waitFor();
    await click(words.save_tile);
    await sound(story, 'newcomer-save');
    await click(words.save, dialog);
    await page.locator('.tile .canvas[data-drawn]').waitFor();
    await click(words.share);
    await click(words.share_make, dialog);
    const link = (await dialog.locator('.copied code').textContent())!;
    assert.ok(clicks <= 8, `${clicks} clicks`);
    await context.clearCookies();
    await page.goto(link);
    await page.locator('.tile .canvas[data-drawn]').waitFor();
    assert.equal(await page.locator('.rail').count(), 0);
    await sound(story, 'newcomer-shared');
    await visit.enter(address, story.token);
  },

  /** Every number can be asked: a cell of a table on a dashboard, and of an answer. */
  async cells(story) {
    const { visit, look, address } = story;
    const { page } = visit;
    const words = books[look.language];
    const dialog = page.getByRole('dialog');
    await page.goto(`${address}/dashboards/shop`);
    const channels = page.locator('.tile').filter({ has: page.getByRole('heading', { name: 'Channels', exact: true }) });
    await channels.getByRole('button', { name: '1,346' }).click();
    // The rows behind the sessions that came by search.
    await dialog.getByRole('heading', { name: words.why_made }).waitFor();
    await dialog.getByText('Organic Search').first().waitFor();
    await dialog.getByText('1,346', { exact: true }).waitFor();
    await sound(story, 'why-cell');
    await page.keyboard.press('Escape');
    await page.goto(
      `${address}/ask#${new URLSearchParams({ sql: 'select device, count(*) as n from mart.sessions group by 1 order by 2 desc' })}`,
    );
    await page.getByRole('button', { name: words.format, exact: true }).click();
    assert.equal(
      (await page.locator('.cm-line').allTextContents()).join('\n'),
      'SELECT device, count(*) AS n\nFROM mart.sessions\nGROUP BY 1\nORDER BY 2 DESC',
    );
    await page.getByRole('button', { name: words.run }).click();
    await page.getByRole('button', { name: '1,742' }).click();
    await dialog.getByRole('heading', { name: words.why_behind.replace('{n}', '1,742') }).waitFor();
    await page.keyboard.press('Escape');
  },
};

/** What the stories need beside the main job: a model and one that challenges it, trained in a second; and clusters in two versions. */
async function train(address: string, token: string): Promise<void> {
  const grouped = (more: string) =>
    `CREATE OR REPLACE MODEL main.kinds OPTIONS(model_type = 'KMEANS', num_clusters = 3${more}) AS SELECT hits, channel FROM mart.sessions`;
  const statements = ['', `, alias = 'challenger', ignore_cols = ['country']`].map(
    (more) => `CREATE OR REPLACE MODEL main.stays OPTIONS(input_label_cols = ['stays'], model_type = 'LOGISTIC_REG'${more})
      AS SELECT hits > 1 AS stays, channel, device, country FROM mart.sessions`,
  );
  for (const sql of [...statements, grouped(''), grouped(', seed = 2')]) {
    const made = await send(address, 'POST', '/v1/query', { authorization: `Bearer ${token}` }, { sql });
    assert.equal(made.status, 200, made.text);
  }
}

/** A real file as a browser gets it dropped: the first lines of the UK shop's order lines. */
export function retailLines(count: number): Buffer {
  const text = gunzipSync(readFileSync(join(data, 'uci-online-retail', 'online_retail.csv.gz'))).toString('latin1');
  return Buffer.from(
    text
      .split('\n')
      .slice(0, count + 1)
      .join('\n'),
  );
}
