import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after } from 'node:test';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { isBuilt, root } from './server.ts';

const programs = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const program = programs.find((path) => existsSync(path));

/** Why the browser's tests can't run here; false when they can. */
export const withoutBrowser =
  program === undefined ? 'no Chromium is installed' : isBuilt() ? false : 'the console is not built (npm run build)';

const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface Look {
  readonly language: 'en' | 'ko';
  readonly scheme: 'light' | 'dark';
  readonly width: 390 | 1440;
}

export interface Visit {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What the page wrote to the console as an error or warning, and what it threw; a request that the server refuses is shown by the page itself. */
  readonly complaints: readonly string[];
  /** Keeps what the page shows under artefacts/, to be looked at. */
  shot(name: string): Promise<void>;
  /** Signs in by the link that `millrace up` prints, and waits for the shell. */
  enter(address: string, token: string): Promise<void>;
  /** Violations that axe finds serious or critical, as `rule: where`. */
  violations(): Promise<string[]>;
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** One for all tests of a file: starting it costs more than most stories. Each visit has a context of its own, which shares nothing with others. */
let browser: Promise<Browser> | null = null;
after(async () => (await browser)?.close());

/** A browser's window without a past, gone after the test. */
export async function visit(t: { after: (fn: () => Promise<void>) => void }, { language, scheme, width }: Look): Promise<Visit> {
  browser ??= chromium.launch({ executablePath: program!, args: flags });
  const context = await (await browser).newContext({
    locale: language === 'ko' ? 'ko-KR' : 'en-US',
    colorScheme: scheme,
    viewport: { width, height: width === 390 ? 844 : 900 },
    timezoneId: 'Asia/Seoul',
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  t.after(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const complaints: string[] = [];
  page.on('console', (message) => {
    const refused = /the server responded with a status of 4\d\d/.test(message.text());
    if ((message.type() === 'error' || message.type() === 'warning') && !refused) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  const folder = join(root, 'artefacts', 'web');
  mkdirSync(folder, { recursive: true });
  return {
    page,
    context,
    complaints,
    async shot(name) {
      await page.screenshot({ path: join(folder, `${name}-${language}-${scheme}-${width}.png`), fullPage: true });
    },
    async enter(address, token) {
      await page.goto(`${address}/#token=${token}`);
      await page.locator('.rail').waitFor();
    },
    async violations() {
      // Through the debugger, since the page's own policy takes no foreign script.
      await page.evaluate(axe);
      const found = await page.evaluate(async () => {
        const { axe: here } = globalThis as unknown as {
          axe: { run: () => Promise<{ violations: { id: string; impact: string; nodes: { target: unknown[]; html: string }[] }[] }> };
        };
        return (await here.run()).violations;
      });
      return found
        .filter(({ impact }) => impact === 'serious' || impact === 'critical')
        .map(({ id, nodes }) => `${id}: ${nodes.map(({ target, html }) => `${target.join(' ')} ${html.slice(0, 120)}`).join(', ')}`);
    },
  };
}
