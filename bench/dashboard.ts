// A dashboard of 20 tiles over simulated rows in a real browser, while records arrive in the table that four of them read: how long until all
// tiles are drawn, and what does the first page weigh?
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { ask, buildProgram, newWorkspace, processTree, query, type Running, residentBytes, startProgram, untilReady } from './program.ts';
import { report } from './report.ts';

const TILES = 20;
/** Tiles that read the table in which records arrive while they are looked at. */
const ARRIVING = 4;
const DAYS = 365;
const shops = ['Seoul', 'Busan', 'Daegu', 'Incheon', 'Gwangju', 'Daejeon', 'Ulsan', 'Suwon'];
const program = process.env['MILLRACE_CHROMIUM'] ?? '/usr/bin/chromium';

async function main(): Promise<void> {
  const quick = process.argv.includes('--quick');
  const asked = process.argv[process.argv.indexOf('--rows') + 1];
  const rows = process.argv.includes('--rows') ? Number(asked) : quick ? 1_000_000 : 100_000_000;
  const rounds = quick ? 3 : 20;
  const home = buildProgram();
  const workspace = newWorkspace(home, { clicks: 'fields:\n  day: date\n  shop: integer\n  page: integer\n  amount: decimal(9,2)\n' });
  const settings = join(workspace, 'millrace.yaml');
  writeFileSync(settings, readFileSync(settings, 'utf8').replace(/^memory:.*$/m, 'memory: 2GB'));
  mkdirSync(join(workspace, 'dashboards'), { recursive: true });
  writeFileSync(join(workspace, 'dashboards', 'bench.yaml'), dashboard());
  const { running, stop } = await startProgram({ home, workspace });
  let peak = 0;
  const resident = () => {
    peak = Math.max(
      peak,
      processTree(running.pid).reduce((sum, pid) => sum + residentBytes(pid), 0),
    );
    return peak;
  };
  const sampling = setInterval(resident, 250);
  const profile = mkdtempSync(join(tmpdir(), 'millrace-bench-browser-'));
  let context: BrowserContext | null = null;
  try {
    await untilReady(running);
    told(`making ${rows.toLocaleString('en')} rows`);
    // Written in the order of days, as deliveries are.
    await query(
      running,
      `CREATE TABLE main.sales AS SELECT DATE '2026-01-01' + (range * ${DAYS} // ${rows})::INTEGER AS day,
        (hash(range) % ${shops.length})::UTINYINT AS shop, (hash(range + 1) % 50)::UTINYINT AS page, (hash(range + 2) % 90000 / 100)::DECIMAL(9,2) AS amount
        FROM range(${rows})`,
    );
    // Before the first look each shop has some, so that every tile has something to draw.
    await arrive(running, 0, 2_000);
    await untilDelivered(running, 2_000);
    const making = resident();
    peak = 0;
    told('opening the browser');
    context = await chromium.launchPersistentContext(profile, {
      executablePath: program,
      args: [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
      ],
      viewport: { width: 1440, height: 4000 },
    });
    const page = context.pages()[0] ?? (await context.newPage());
    const first = await firstLoad(page, `${running.address}/#token=${running.token}`);
    const cold = await drawn(page, `${running.address}/dashboards/bench?f.shop=0`);
    told(`the first time: ${inWords(cold)}`);
    let arriving = true;
    const sending = (async () => {
      for (let n = 20; arriving; n++) await arrive(running, n * 100, 100);
    })();
    const warm: Drawn[] = [];
    // Another filter each round: no answer is asked twice, and nothing here keeps answers.
    const another = (round: number) =>
      drawn(
        page,
        `${running.address}/dashboards/bench?range=custom&from=2026-01-0${1 + (round % 9)}&to=2026-12-31&f.shop=${round % shops.length}`,
      );
    // After the second time its groups are made, beside the third.
    const warming = [await another(1), await another(2)].map((once) => once.drawn);
    told(`the second and the third time: ${warming.map(Math.round).join(', ')} ms`);
    await sleep(quick ? 1_000 : 10_000);
    for (let round = 3; round < 3 + rounds; round++) {
      const once = await another(round);
      warm.push(once);
      told(`${round - 2} of ${rounds}: ${inWords(once)}`);
    }
    const open: number[] = [];
    for (let round = 0; round < rounds; round++) open.push(await chosen(page, String((round + 1) % shops.length)));
    told(`another shop chosen on the open page: ${open.map(Math.round).join(', ')} ms`);
    arriving = false;
    await sending;
    told('asking the tiles of the API alone');
    const shared = await sharedOrNot(running);
    const [[arrived]] = (await query(running, 'SELECT count(*) FROM raw.clicks')) as [[number]];
    const looking = resident();
    const sorted = (of: (once: Drawn) => number) => warm.map(of).sort((a, b) => a - b);
    const at95 = (ascending: readonly number[]) => Math.round(ascending[Math.ceil(ascending.length * 0.95) - 1]!);
    const p95 = (of: (once: Drawn) => number) => at95(sorted(of));
    const median = (of: (once: Drawn) => number) => Math.round(sorted(of)[Math.floor(warm.length / 2)]!);
    report({
      bench: 'dashboard',
      figures: {
        rows: { value: rows, title: 'simulated rows under the dashboard' },
        alone: { value: Math.round(shared.alone), unit: 'ms', title: `${TILES} statements of the tiles, each asked by itself, at once` },
        together: { value: Math.round(shared.together), unit: 'ms', title: 'the same in one request, sharing a scan' },
        kept: { value: Math.round(shared.kept), unit: 'ms', title: 'the same of groups that are kept' },
        ratio: { value: Number((shared.alone / shared.together).toFixed(1)), title: 'alone / together' },
        cold: { value: Math.round(cold.drawn), unit: 'ms', title: `${TILES} tiles drawn, the first time` },
        warming: {
          value: Math.round(Math.max(...warming)),
          unit: 'ms',
          title: 'the second and the third time, beside which its groups are made, at most',
        },
        warm_p95: {
          value: p95((once) => once.drawn),
          unit: 'ms',
          title: `${TILES} tiles drawn, opened anew with another filter each time while records arrive, p95`,
        },
        warm_median: { value: median((once) => once.drawn), unit: 'ms', title: 'the same, median' },
        asking: { value: median((once) => once.asked), unit: 'ms', title: 'of it: until the page asks for its tiles, median' },
        answering: { value: median((once) => once.answered - once.asked), unit: 'ms', title: 'of it: until all are answered, median' },
        drawing: { value: median((once) => once.drawn - once.answered), unit: 'ms', title: 'of it: until all are drawn, median' },
        open_p95: {
          value: at95(open.toSorted((a, b) => a - b)),
          unit: 'ms',
          title: 'another shop chosen on the open page, until all tiles are drawn anew, p95',
        },
        arrived: { value: Number(arrived), title: `records in the table that ${ARRIVING} of the tiles read, at the end` },
        resident: {
          value: Math.round(looking / 1e6),
          unit: 'MB',
          title: 'memory of all of Millrace’s processes, at most, from the first page to the end',
        },
        resident_making: { value: Math.round(making / 1e6), unit: 'MB', title: 'the same while the rows were made' },
        first_kb: { value: Math.round(first.bytes / 1000), unit: 'kB', title: 'sent for the first page, compressed' },
        interactive: { value: Math.round(first.took), unit: 'ms', title: 'until the first page answers' },
      },
      goals: [
        { figure: 'open_p95', at: 'most', value: 1000 },
        { figure: 'warm_p95', at: 'most', value: 1000 },
        { figure: 'resident', at: 'most', value: 2000 },
        { figure: 'first_kb', at: 'most', value: 300 },
        { figure: 'interactive', at: 'most', value: 1000 },
      ],
    });
  } finally {
    clearInterval(sampling);
    await context?.close();
    rmSync(profile, { recursive: true, force: true });
    await stop();
  }
}

/** What sharing saves: the tiles' statements by the API alone, with other values each time. */
async function sharedOrNot(running: Running): Promise<{ alone: number; together: number; kept: number }> {
  const questions = (shop: number) =>
    (JSON.parse(dashboard()) as { tiles: { sql: string }[] }).tiles.map(({ sql }) => ({
      sql,
      params: { from: '2026-01-03', to: '2027-01-01', shop: String(shop) },
    }));
  const timed = async (work: () => Promise<unknown>) => {
    const began = performance.now();
    await work();
    return performance.now() - began;
  };
  const post = (path: string, body: unknown) => ask(running, 'POST', path, JSON.stringify(body));
  const kept = await timed(() => post('/v1/questions', { questions: questions(0) }));
  // Another row, and what was kept of the table is kept no longer.
  await query(running, "INSERT INTO main.sales VALUES (DATE '2026-12-31', 0, 0, 1)");
  const together = await timed(() => post('/v1/questions', { questions: questions(1) }));
  const alone = await timed(() => Promise.all(questions(2).map((question) => post('/v1/query', question))));
  return { alone, together, kept };
}

/** Bytes as the browser received them, and the time until Home shows its stages. */
async function firstLoad(page: Page, address: string): Promise<{ bytes: number; took: number }> {
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  let bytes = 0;
  session.on('Network.loadingFinished', ({ encodedDataLength }) => {
    bytes += encodedDataLength;
  });
  const began = performance.now();
  await page.goto(address);
  await page.locator('.flow-stage').first().waitFor();
  const took = performance.now() - began;
  await page.waitForLoadState('load');
  await session.detach();
  return { bytes, took };
}

/** ms from opening the page: until it asked for its tiles, until all were answered, until all were drawn. */
interface Drawn {
  readonly asked: number;
  readonly answered: number;
  readonly drawn: number;
}

const inWords = (once: Drawn) => `${Math.round(once.drawn)} ms (asked ${Math.round(once.asked)}, answered ${Math.round(once.answered)})`;

/** A run of an hour says where it is. */
function told(text: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
}

/** Until every tile shows what it asked for. A whole page each time: what was drawn before helps nothing. */
async function drawn(page: Page, address: string): Promise<Drawn> {
  await page.goto('about:blank');
  const began = performance.now();
  await page.goto(address);
  await page.waitForFunction(
    (tiles) => {
      const { document: seen } = globalThis as unknown as { document: { querySelectorAll(selector: string): { length: number } } };
      const shown = seen.querySelectorAll('.tile .canvas[data-drawn], .tile .big-value, .tile .grid-frame').length;
      return shown === tiles && seen.querySelectorAll('.tile[aria-busy="true"]').length === 0;
    },
    TILES,
    { polling: 'raf', timeout: 300_000 },
  );
  const took = performance.now() - began;
  // An answer's entry may come after what was drawn of it.
  const times = await page.waitForFunction(() => {
    const entries = performance.getEntriesByType('resource') as unknown as { name: string; startTime: number; responseEnd: number }[];
    const questions = entries.filter(({ name }) => name.endsWith('/v1/questions'));
    if (questions.length === 0) return null;
    return [Math.max(...questions.map(({ startTime }) => startTime)), Math.max(...questions.map(({ responseEnd }) => responseEnd))];
  });
  const [asked, answered] = (await times.jsonValue())!;
  return { asked: asked!, answered: answered!, drawn: took };
}

/** From a click on the shop in the filter's list to the frame after which all tiles show the new answers. */
async function chosen(page: Page, shop: string): Promise<number> {
  await page.locator('input[aria-haspopup="listbox"]').last().click();
  const option = page.getByRole('option', { name: shop, exact: true });
  await option.waitFor();
  return option.evaluate(async (element) => {
    const { document: seen, requestAnimationFrame: frame } = globalThis as unknown as {
      document: { querySelectorAll(selector: string): { length: number } };
      requestAnimationFrame(done: () => void): void;
    };
    const busy = () => seen.querySelectorAll('.tile[aria-busy="true"]').length > 0;
    const nextFrame = () => new Promise<void>((done) => frame(done));
    const began = performance.now();
    (element as unknown as { click(): void }).click();
    while (!busy()) await nextFrame();
    while (busy()) await nextFrame();
    await nextFrame();
    return performance.now() - began;
  });
}

/** So many sales of all shops and days, from the first place on. */
async function arrive(running: Running, first: number, count: number): Promise<void> {
  const records = Array.from({ length: count }, (_, k) => {
    const n = first + k;
    const day = new Date(Date.UTC(2026, 0, 1 + ((n * 37) % DAYS))).toISOString().slice(0, 10);
    return { day, shop: n % shops.length, page: (n * 7) % 50, amount: (n % 90_000) / 100 };
  });
  await ask(running, 'POST', '/v1/topics/clicks/records', JSON.stringify(records));
}

async function untilDelivered(running: Running, count: number): Promise<void> {
  for (;;) {
    // There is no table before the first delivery.
    const { status, text } = await ask(running, 'POST', '/v1/query', JSON.stringify({ sql: 'SELECT count(*) FROM raw.clicks' }));
    if (status === 200 && Number((JSON.parse(text) as { rows: unknown[][] }).rows[0]![0]) >= count) return;
    await sleep(100);
  }
}

/** Twenty questions, as a shop's dashboard has them: no two group alike. The first ARRIVING are of the table that grows. */
function dashboard(): string {
  const where = 'WHERE day >= $from::DATE AND day < $to::DATE AND ($shop IS NULL OR shop = $shop::INTEGER)';
  const grown = `FROM raw.clicks ${where}`;
  const sold = `FROM main.sales ${where}`;
  const kinds: readonly (readonly [chart: string, sql: string])[] = [
    ['number', `SELECT sum(amount) AS revenue ${grown}`],
    ['line', `SELECT date_trunc('month', day) AS month, count(*) AS sales ${grown} GROUP BY 1 ORDER BY 1`],
    ['bar', `SELECT 'page ' || page AS page, sum(amount) AS revenue ${grown} GROUP BY 1 ORDER BY 2 DESC LIMIT 10`],
    ['table', `SELECT page, count(*) AS sales, max(amount) AS dearest ${grown} GROUP BY 1 ORDER BY 2 DESC, 1`],
    ['number', `SELECT sum(amount) AS revenue ${sold}`],
    ['number', `SELECT count(*) AS sales ${sold}`],
    ['number', `SELECT avg(amount) AS mean ${sold}`],
    ['number', `SELECT count(*) FILTER (WHERE amount > 500) / count(*) AS dear ${sold}`],
    ['line', `SELECT day, sum(amount) AS revenue ${sold} GROUP BY 1 ORDER BY 1`],
    ['line', `SELECT date_trunc('week', day) AS week, avg(amount) AS mean ${sold} GROUP BY 1 ORDER BY 1`],
    ['area', `SELECT date_trunc('month', day) AS month, count(*) AS sales ${sold} GROUP BY 1 ORDER BY 1`],
    ['line', `SELECT day, max(amount) AS dearest, min(amount) AS cheapest ${sold} GROUP BY 1 ORDER BY 1`],
    ['bar', `SELECT 'page ' || page AS page, count(*) AS sales ${sold} GROUP BY 1 ORDER BY 2 DESC LIMIT 10`],
    ['bar', `SELECT 'shop ' || shop AS shop, sum(amount) AS revenue ${sold} GROUP BY 1 ORDER BY 1`],
    ['bar', `SELECT dayname(day) AS weekday, sum(amount) AS revenue ${sold} GROUP BY 1 ORDER BY 2 DESC`],
    ['bar', `SELECT 'to ' || (1 + amount::INTEGER // 100) * 100 AS price, count(*) AS sales ${sold} GROUP BY 1 ORDER BY 2 DESC`],
    [
      'heatmap',
      `SELECT 'month ' || month(day) AS month, 'page ' || page AS page, sum(amount) AS revenue ${sold} AND page < 10 GROUP BY 1, 2`,
    ],
    ['table', `SELECT page, count(*) AS sales, avg(amount) AS mean ${sold} GROUP BY 1 ORDER BY 2 DESC`],
    ['table', `SELECT quarter(day) AS quarter, page, sum(amount) AS revenue ${sold} GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 20`],
    ['table', `SELECT day, count(DISTINCT page) AS pages, sum(amount) AS revenue ${sold} GROUP BY 1 ORDER BY 3 DESC LIMIT 20`],
  ];
  const tiles = kinds.map(([chart, sql], n) => ({ title: `Tile ${n}`, width: 3, chart, sql }));
  // JSON is YAML.
  return JSON.stringify({ title: 'Bench', filters: [{ name: 'shop', sql: 'SELECT range FROM range(8)' }], tiles });
}

await main();
